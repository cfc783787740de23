import type { Command } from 'commander';
import { CommandError, type CommonOptions, type Lines, note, runCommand, UsageError } from '../command.js';
import type { DemoOptions, DemoResult } from '../demo/run-demo.js';
import { wholeNumber } from '../stores.js';

interface DemoCommandOptions extends CommonOptions {
  agents?: string;
  saves?: string;
  stateBytes: string;
  workers: string;
  trace?: string;
  langgraph?: boolean;
  keep?: boolean;
}

const NEXT_STEPS = `
Next you may want more load with --agents 200 --saves 100, recorded runs with --trace DIR, or the least program that
does it: examples/quickstart.ts. A worker on services of yours: DATABASE_URL=… REDIS_URL=… ckpt worker
`;

const NEXT_STEPS_WITH_GRAPHS = `
Next you may want more load with --agents 200 --saves 30, or a graph to read: examples/langgraph-agent.ts. A worker on
services of yours: DATABASE_URL=… REDIS_URL=… CKPT_LANGGRAPH_SCHEMA=… ckpt worker
`;

const DEFAULT_AGENTS = 50;
const DEFAULT_SAVES = 40;
/** LangGraph itself computes some milliseconds a step. */
const DEFAULT_GRAPH_STEPS = 12;

export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description('the whole of it in one command: services, workers, agents, then every checkpoint compared')
    .option(
      '--agents <n>',
      `agents that save at the same time (default ${DEFAULT_AGENTS}; with --trace one a file)`,
    )
    .option(
      '--saves <n>',
      `saves of each agent (default ${DEFAULT_SAVES}; with --trace all steps; with --langgraph steps of each graph, ` +
        `default ${DEFAULT_GRAPH_STEPS})`,
    )
    .option('--state-bytes <n>', 'size that a state has grown to at the last step', '2000')
    .option('--workers <n>', 'worker replicas, each a process', '2')
    .option('--trace <dir>', 'replay recorded runs: a folder of *.jsonl files, one step a line')
    .option(
      '--langgraph',
      'agents that are LangGraph.js graphs, resumed in the middle through another checkpointer',
    )
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
        const { agents, openLoad } = await loadOf(options);
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
            `${agents} agents, ${workers} workers; PostgreSQL: ${started.postgres}, Redis: ${started.redis}`,
          );
        const result = await runDemo({ services: started, openLoad, workers, keep, quiet: json, signal });
        if (!json && !result.interrupted)
          note((options.langgraph ? NEXT_STEPS_WITH_GRAPHS : NEXT_STEPS).split('\n'));
        if (keep) note(`kept: schema ${result.schema}, queue ${result.queue}`);
        print(result, () => summary(result));
        if (result.interrupted) return;
        if (result.missing || result.stale)
          throw new CommandError('what was read back is not what was saved');
      }),
    );
}

/** @throws UsageError; CommandError where LangGraph is not installed */
async function loadOf(
  options: DemoCommandOptions,
): Promise<{ agents: number } & Pick<DemoOptions, 'openLoad'>> {
  const { trace, langgraph } = options;
  const agents =
    options.agents === undefined ? undefined : wholeNumber('--agents', options.agents, 1, 100_000);
  const saves = options.saves === undefined ? undefined : wholeNumber('--saves', options.saves, 1, 1_000_000);
  const bytes = wholeNumber('--state-bytes', options.stateBytes, 1, 100_000_000);
  if (langgraph && trace !== undefined) {
    throw new UsageError('--trace', 'cannot be used with --langgraph: graphs run, they replay nothing');
  }
  if (langgraph) {
    const { loadGraphModule } = await import('../demo/graph-module.js');
    const { GraphLoad } = await loadGraphModule();
    const steps = saves ?? DEFAULT_GRAPH_STEPS;
    const graphs = {
      agents: agents ?? DEFAULT_AGENTS,
      steps,
      messageBytes: Math.max(1, Math.round(bytes / steps)),
    };
    return { agents: graphs.agents, openLoad: (services, place) => new GraphLoad(graphs, services, place) };
  }
  const { builtInWorkload, traceWorkload } = await import('../demo/workload.js');
  const { StoreLoad } = await import('../demo/store-load.js');
  const runs =
    trace === undefined
      ? builtInWorkload(agents ?? DEFAULT_AGENTS, saves ?? DEFAULT_SAVES, bytes)
      : await traceWorkload(trace, agents, saves);
  return { agents: runs.length, openLoad: (services, place) => new StoreLoad(runs, services, place) };
}

function summary(result: DemoResult): Lines {
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
    ...(result.threadsRight === undefined
      ? []
      : [`threads          ${result.threadsRight} right, ${result.threadsWrong} wrong`]),
    `missing ${result.missing}, stale ${result.stale}`,
  ];
}
