import { defineConfig } from 'vitest/config';

/** Of left-behind.test.ts alone. */
export default defineConfig({
  test: {
    include: ['test/processes/holding.fixture.ts'],
    pool: 'forks',
    setupFiles: './test/end-with-runner.ts',
    provide: {
      databaseUrl: process.env.DATABASE_URL as string,
      redisUrl: process.env.REDIS_URL as string,
      partitionBy: undefined,
    },
  },
});
