import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { CONTENDER_NAMES } from './contenders/contender.js';
import { GRAPH_SUBJECT_NAMES } from './graphs/graph-subject.js';
import { LARGE_ROWS } from './plan.js';
import { RATES_BENCHES, type RatesBench } from './rates/main.js';
import { SCENARIO_NAMES } from './scenarios/scenario.js';

/** Takes too long to be part of all the others. */
const LARGE = 'large';
/** What is measured unless told otherwise. */
const USUAL_NAMES: readonly string[] = [...CONTENDER_NAMES, ...SCENARIO_NAMES].filter(
  (name) => name !== LARGE,
);
const NAMES: readonly string[] = [...USUAL_NAMES, LARGE, ...GRAPH_SUBJECT_NAMES];

export const USAGE = `npm run bench -- [options]

  --full                 longer and more rounds: about half an hour, instead of under four minutes
  --sizes BYTES,...      sizes of the generated states, as JSON text (default 1024,8192)
  --trace DIR            recorded agent traces, *.jsonl (default ../shared/traces, if it is there)
  --langgraph            the checkpointers of LangGraph.js instead of the stores, calls and whole runs of 64 threads at once:
                         under five minutes
  --only NAME,...        contenders: ${CONTENDER_NAMES.join(', ')};
                         scenarios of the pipeline, with 1 KB states: ${SCENARIO_NAMES.join(', ')};
                         checkpointers of LangGraph.js: ${GRAPH_SUBJECT_NAMES.join(', ')}
  --large                only the scenario large: a table with ten million rows (--rows N), plain and partitioned; needs about
                         10 GB of disk and ten minutes
  --backlog              instead of all that: fill the queue while no worker runs, drain it, and watch memory and rates
  --saves N              of the backlog, with 1 KB states (default 1000000; Redis needs 1.5 GB for them)
  --rates                instead of all that: saves that start by the clock, at 100 to 10,000 a second, from one process and from 20,
                         with the CPU of every process; under 12 minutes, on servers of its own, Linux only
  --distance             the same at 500 a second with PostgreSQL up to 100 ms away, and stalled for 2 s; under 5 minutes
  --quick                of --rates and --distance: fewer and shorter windows, under two minutes
  --chart                of --rates and --distance: draw docs/rates.svg or docs/distance.svg
  --json FILE            where the figures go (default bench/results/<time>.json; - prints them instead of the tables)
  --help

DATABASE_URL and REDIS_URL name the servers; where one is missing, a server is started for the time of the run.`;

export interface BenchOptions {
  readonly full: boolean;
  readonly sizes: readonly number[];
  readonly traceDir: string | undefined;
  /** Names of contenders, scenarios and checkpointers. */
  readonly only: readonly string[];
  readonly jsonFile: string | undefined;
  readonly largeRows: number;
  /** Saves of a backlog; undefined: the other benchmarks. */
  readonly backlogSaves: number | undefined;
  /** Undefined: the other benchmarks. */
  readonly rates: RatesBench | undefined;
  /** Of `rates`. */
  readonly quick: boolean;
  readonly chart: boolean;
}

/** The message says which option is wrong. */
export class UsageError extends Error {}

const DEFAULT_BACKLOG = '1000000';
/** Ten batches for each tenth, and what the default depth of a queue holds, at most. */
const BACKLOG_SAVES = { min: 20_000, max: 10_000_000 };
const DEFAULT_SIZES = '1024,8192';
const DEFAULT_TRACE_DIR = '../shared/traces';
/** Below this a state has no room for its messages; above 1 MiB a save does not pass through the queue. */
const STATE_BYTES = { min: 256, max: 1_000_000 };

/** Undefined if help was asked for. @throws UsageError */
export function readOptions(args: string[]): BenchOptions | undefined {
  const given = parse(args);
  if (given.help) return undefined;
  if (given.trace !== undefined && !existsSync(given.trace)) {
    throw new UsageError('--trace: there is no such folder');
  }
  return {
    full: given.full ?? false,
    sizes: (given.sizes ?? DEFAULT_SIZES).split(',').map(stateBytes),
    traceDir: given.trace ?? (existsSync(DEFAULT_TRACE_DIR) ? DEFAULT_TRACE_DIR : undefined),
    only: given.large
      ? [LARGE]
      : (given.only?.split(',').map(subjectName) ?? (given.langgraph ? GRAPH_SUBJECT_NAMES : USUAL_NAMES)),
    largeRows: given.rows === undefined ? LARGE_ROWS : rowCount(given.rows),
    jsonFile: given.json,
    backlogSaves: given.backlog ? backlogSaves(given.saves) : undefined,
    rates: RATES_BENCHES.find((name) => given[name]),
    quick: given.quick ?? false,
    chart: given.chart ?? false,
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        full: { type: 'boolean' },
        sizes: { type: 'string' },
        trace: { type: 'string' },
        langgraph: { type: 'boolean' },
        only: { type: 'string' },
        large: { type: 'boolean' },
        rows: { type: 'string' },
        json: { type: 'string' },
        backlog: { type: 'boolean' },
        saves: { type: 'string' },
        rates: { type: 'boolean' },
        distance: { type: 'boolean' },
        quick: { type: 'boolean' },
        chart: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function stateBytes(text: string): number {
  const bytes = Number(text);
  if (!Number.isInteger(bytes) || bytes < STATE_BYTES.min || bytes > STATE_BYTES.max) {
    throw new UsageError(`--sizes: must be whole numbers from ${STATE_BYTES.min} to ${STATE_BYTES.max}`);
  }
  return bytes;
}

function rowCount(text: string): number {
  const rows = Number(text);
  if (!Number.isInteger(rows) || rows < 1)
    throw new UsageError('--rows: must be a whole number of at least 1');
  return rows;
}

function backlogSaves(text = DEFAULT_BACKLOG): number {
  const saves = Number(text);
  if (!Number.isInteger(saves) || saves < BACKLOG_SAVES.min || saves > BACKLOG_SAVES.max) {
    throw new UsageError(`--saves: must be a whole number from ${BACKLOG_SAVES.min} to ${BACKLOG_SAVES.max}`);
  }
  return saves;
}

function subjectName(text: string): string {
  if (!NAMES.includes(text)) throw new UsageError(`--only: must be of ${NAMES.join(', ')}`);
  return text;
}
