import type { Command } from 'commander';
import { CommandError, type CommonOptions, note, runCommand, UsageError } from '../command.js';
import type { DemoResult } from '../demo/run-demo.js';
import { wholeNumber } from '../stores.js';

interface DemoCommandOptions extends CommonOptions {
  agents?: string;
  saves?: string;
  stateBytes: string;
  workers: string;
  trace?: string;
  keep?: boolean;
}

const NEXT_STEPS = `
Next you may want more load with --agents 200 --saves 100, recorded runs with --trace DIR, or the least program that
does it: examples/quickstart.ts. A worker on services of yours: DATABASE_URL=… REDIS_URL=… ckpt worker
`;

const DEFAULT_AGENTS = 50;
const DEFAULT_SAVES = 40;

export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description('the whole of it in one command: services, workers, agents, then every checkpoint compared')
    .option(
      '--agents <n>',
      `agents that save at the same time (default ${DEFAULT_AGENTS}; with --trace one a file)`,
    )
    .option('--saves <n>', `saves of each agent (default ${DEFAULT_SAVES}; with --trace all steps)`)
    .option('--state-bytes <n>', 'size that a state has grown to at the last step', '2000')
    .option('--workers <n>', 'worker replicas, each a process', '2')
    .option('--trace <dir>', 'replay recorded runs: a folder of *.jsonl files, one step a line')
    .option('--keep', 'leave the schema and the queue of the demo on the configured services')
    .option('--json', 'print one JSON object')
    .action((options: DemoCommandOptions) =>
      runCommand(options, async (context) => {
        const { config, closing, signal, json, print } = context;
        const keep = options.keep ?? false;
        if (keep && !(config.postgres && config.redis)) {
          throw new UsageError(
            '--keep',
            'needs DATABASE_URL and REDIS_URL: services of the demo end with it',
          );
        }
        const workers = wholeNumber('--workers', options.workers, 1, 64);
        const agents = await workload(options);
        const { startLocalServices } = await import('../../services/local-services.js');
        const { runDemo } = await import('../demo/run-demo.js');
        const started = await startLocalServices({
          env: { ...process.env, DATABASE_URL: config.postgres, REDIS_URL: config.redis },
          onProgress: note,
          signal,
        });
        closing({ close: () => started.stop() });
        if (!json)
          note(
            `${agents.length} agents, ${workers} workers; PostgreSQL: ${started.postgres}, Redis: ${started.redis}`,
          );
        const result = await runDemo({ services: started, agents, workers, keep, quiet: json, signal });
        if (!json && !result.interrupted) note(NEXT_STEPS);
        if (keep) note(`kept: schema ${result.schema}, queue ${result.queue}`);
        print(result, () => summary(result));
        if (result.interrupted) return;
        if (result.missing || result.stale)
          throw new CommandError('what was read back is not what was saved');
      }),
    );
}

async function workload({ agents, saves, stateBytes, trace }: DemoCommandOptions) {
  const { builtInWorkload, traceWorkload } = await import('../demo/workload.js');
  const count = agents === undefined ? undefined : wholeNumber('--agents', agents, 1, 100_000);
  const steps = saves === undefined ? undefined : wholeNumber('--saves', saves, 1, 1_000_000);
  const bytes = wholeNumber('--state-bytes', stateBytes, 1, 100_000_000);
  if (trace !== undefined) return traceWorkload(trace, count, steps);
  return builtInWorkload(count ?? DEFAULT_AGENTS, steps ?? DEFAULT_SAVES, bytes);
}

function summary(result: DemoResult): string {
  const { saveLatencyMs: latency } = result;
  if (result.interrupted) {
    return `interrupted: ${result.acknowledged} of ${result.saves} saves acknowledged, ${result.committed} committed; not verified`;
  }
  return [
    `saves            ${result.acknowledged} of ${result.saves} acknowledged, ${result.committed} committed (${result.superseded} superseded by a newer save)`,
    `save latency     p50 ${latency.p50} ms, p99 ${latency.p99} ms`,
    `committed        ${result.committedPerSecond} per second`,
    `batches          ${result.batches}, mean ${result.meanBatchRecords} records`,
    `duration         ${(result.durationMs / 1000).toFixed(1)} s, reading back included`,
    `missing ${result.missing}, stale ${result.stale}`,
  ].join('\n');
}
