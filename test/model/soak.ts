import { parseArgs } from 'node:util';
import cliProgress from 'cli-progress';
import { PERIODS, type Period } from '../../src/postgres/identifiers.js';
import { startLocalServices } from '../../src/services/local-services.js';
import { check, reportOf } from './check.js';
import { startProducers, World } from './world.js';

const USAGE = `npm run soak -- [options]

  --runs N     sequences (default 20000)
  --seed N     of the sequences (default: another one each time)
  --path P     together with --seed: begin at the counterexample of an earlier run
  --partition-by P   on a partitioned table: month or day
  --help

DATABASE_URL and REDIS_URL name the servers; where one is missing, a server is started for the time of the run.`;

const DEFAULT_RUNS = 20_000;
const EXIT = { failed: 1, usage: 2, interrupted: 130 };
const LINE_INTERVAL_MS = 10_000;

/** The message says which option is wrong. */
class UsageError extends Error {}

interface SoakOptions {
  readonly runs: number;
  readonly seed: number;
  readonly path: string | undefined;
  readonly partitionBy: Period | undefined;
}

/** Undefined if help was asked for. @throws UsageError */
function readOptions(args: string[]): SoakOptions | undefined {
  const { help, runs, seed, path, 'partition-by': period } = parse(args);
  const partitionBy = PERIODS.find((one) => one === period);
  if (period !== undefined && !partitionBy)
    throw new UsageError(`--partition-by: must be ${PERIODS.join(' or ')}`);
  if (help) return undefined;
  if (path !== undefined && seed === undefined)
    throw new UsageError('--path: needs the --seed it belongs to');
  if (path !== undefined && !/^\d+(:\d+)*$/.test(path)) throw new UsageError('--path: must be like 28:5:2');
  return {
    runs: wholeNumber('--runs', runs ?? String(DEFAULT_RUNS), 1),
    seed: wholeNumber('--seed', seed ?? String((Math.random() * 2 ** 31) | 0), -(2 ** 31)),
    path,
    partitionBy,
  };
}

function parse(args: string[]) {
  // parseArgs takes a negative number for an option.
  const joined = args.join(' ').replace(/--seed (?=-\d)/, '--seed=');
  try {
    return parseArgs({
      args: joined === '' ? [] : joined.split(' '),
      options: {
        runs: { type: 'string' },
        seed: { type: 'string' },
        path: { type: 'string' },
        'partition-by': { type: 'string' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(option: string, text: string, min: number): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < min || value >= 2 ** 31)
    throw new UsageError(`${option}: must be a whole number from ${min}`);
  return value;
}

/** A bar on a terminal, a line now and then elsewhere; on standard error. */
function progressOf(runs: number): { ran(): void; stop(): void } {
  if (process.stderr.isTTY) {
    const bar = new cliProgress.SingleBar(
      {
        format: 'sequences {bar} {value}/{total} {eta_formatted} left',
        stream: process.stderr,
        hideCursor: true,
      },
      cliProgress.Presets.shades_classic,
    );
    bar.start(runs, 0);
    return { ran: () => bar.increment(), stop: () => bar.stop() };
  }
  let count = 0;
  let silentUntil = Date.now() + LINE_INTERVAL_MS;
  const ran = () => {
    count++;
    if (Date.now() < silentUntil) return;
    silentUntil = Date.now() + LINE_INTERVAL_MS;
    console.error(`${count}/${runs} sequences`);
  };
  return { ran, stop: () => {} };
}

async function soak({ runs, seed, path, partitionBy }: SoakOptions, signal: AbortSignal): Promise<void> {
  const began = performance.now();
  const services = await startLocalServices({ onProgress: (message) => console.error(message), signal });
  const producers = startProducers();
  let world: World | undefined;
  try {
    world = await World.open(services, producers, { partitionBy });
    console.error(`seed ${seed}`);
    const progress = progressOf(runs);
    let ran = 0;
    const onRun = () => {
      ran++;
      progress.ran();
    };
    const counterexample = await check(world, { runs, seed, path, onRun, signal }).finally(progress.stop);
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    if (counterexample) {
      console.log(`${reportOf(counterexample)}\nfailed after ${counterexample.runs} sequences, ${seconds} s`);
      process.exitCode = EXIT.failed;
    } else {
      const interrupted = signal.aborted ? `interrupted, of ${runs}: ` : '';
      console.log(`${interrupted}${ran} sequences kept every promise (seed ${seed}, ${seconds} s)`);
    }
  } finally {
    await world?.close();
    await Promise.all(producers.map((producer) => producer.close()));
    await services.stop();
  }
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (!options) {
    console.log(USAGE);
    return;
  }
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    await soak(options, interruption.signal);
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    if (interruption.signal.aborted) process.exitCode = EXIT.interrupted;
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${USAGE}`);
  process.exitCode = EXIT.usage;
}
