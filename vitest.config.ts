import { defineConfig } from 'vitest/config';

/** What a store or a writer promises of its table, it promises of a partitioned one: these run on both. */
const ON_BOTH_TABLES = [
  'test/contract/*.test.ts',
  'test/writer/{newest-wins,deletes,tombstones,gate,batches,fold}.test.ts',
  'test/store/{compare-and-save,oversize,round-trip}.test.ts',
  'test/retention/{prune,late-arrivals}.test.ts',
  'test/model/model.test.ts',
  'test/dashboard/{executions,one-checkpoint}.test.ts',
  'test/faults/{postgres-outages,worker-kills,redelivered,suspended-workers}.test.ts',
];

/** They end what hangs. On a machine that others keep busy (load 40 on two cores), tests of a few seconds took half a minute. */
const TIMEOUTS = { testTimeout: 120_000, hookTimeout: 180_000 };
const SETUP = {
  pool: 'forks' as const,
  setupFiles: ['./test/end-with-runner.ts', './test/patience.ts'],
  ...TIMEOUTS,
};

export default defineConfig({
  test: {
    globalSetup: './test/global-setup.ts',
    pool: 'forks',
    // The tests wait for servers more than they compute; on two cores vitest would run one file at a time.
    maxWorkers: 3,
    reporters: ['default', './test/summary-reporter.ts'],
    projects: [
      { test: { name: 'plain', include: ['test/**/*.test.ts'], ...SETUP } },
      {
        test: {
          name: 'partitioned',
          include: ON_BOTH_TABLES,
          provide: { partitionBy: 'month' },
          ...SETUP,
        },
      },
    ],
  },
});
