import { once } from 'node:events';
import { Job, Queue } from 'bullmq';
import { loadConfig, withServices } from '../../src/config.js';
import { parseDsn } from '../../src/postgres/dsn.js';
import { type TableNames, tableNames } from '../../src/postgres/identifiers.js';
import { CheckpointSink } from '../../src/writer/checkpoint-sink.js';
import type { StagedRecords, WriteRecord } from '../../src/writer/sink.js';
import { runWorker } from '../../workers/checkpoint-worker.js';
import { FailingPool } from './failing-pool.js';
import { type FailpointName, type FailpointPlan, Failpoints } from './failpoint.js';

/** The only argument of this program, as JSON. */
export interface WorkerSetup {
  failpoints?: FailpointPlan | undefined;
  /** A worker that is to write a checkpoint whose id begins so dies. */
  deadlyPrefix?: string | undefined;
}

/** What it tells its test beside `WorkerMessage`. */
export type EntryMessage = { type: 'held'; at: FailpointName };
/** What its test may tell it. */
export type EntryRequest = { type: 'goOn' };

/** The worker process as it is, but for what is to fail. */
async function main({ failpoints: plan, deadlyPrefix }: WorkerSetup): Promise<void> {
  const config = Object.assign({}, withServices(loadConfig()), {
    // A deadly sink takes the place of the worker's own.
    checkpoints: deadlyPrefix === undefined,
    sinks: deadlyPrefix === undefined ? [] : [new DeadlySink(tableNames(loadConfig()), deadlyPrefix)],
  });
  if (!plan) return runWorker(config);
  const failpoints = new Failpoints(plan, hold);
  reachAround(Job, ['moveToCompleted'], { before: () => failpoints.reach('before_ack') });
  reachAround(Queue, ['add', 'addBulk'], { after: () => failpoints.reach('after_dead_add') });
  if (!failpoints.has('before_copy', 'mid_copy', 'after_copy', 'after_commit')) return runWorker(config);
  // As the writer's own pool would be.
  const pool = {
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    max: config.maxConcurrentBatches + 1,
    ...parseDsn(config.postgres),
  };
  return runWorker(Object.assign({}, config, { postgres: new FailingPool(pool, failpoints) }));
}

/** Dies of certain records, as a sink with a fault in it might. */
class DeadlySink extends CheckpointSink {
  constructor(
    names: TableNames,
    private readonly prefix: string,
  ) {
    super(names);
  }

  override stage(records: readonly WriteRecord[]): StagedRecords {
    if (records.some(({ body }) => this.identify(body).id.startsWith(this.prefix))) {
      process.kill(process.pid, 'SIGKILL');
    }
    return super.stage(records);
  }
}

type Method = (...args: unknown[]) => Promise<unknown>;

function reachAround(
  { prototype }: { prototype: object },
  names: string[],
  { before, after }: { before?: () => Promise<void>; after?: () => Promise<void> },
): void {
  for (const name of names) {
    const method = Reflect.get(prototype, name) as Method;
    const around: Method = async function around(this: unknown, ...args) {
      await before?.();
      const result = await method.apply(this, args);
      await after?.();
      return result;
    };
    Object.assign(prototype, { [name]: around });
  }
}

async function hold(at: FailpointName): Promise<void> {
  const held: EntryMessage = { type: 'held', at };
  process.send?.(held);
  for (;;) {
    const [request] = (await once(process, 'message')) as [EntryRequest];
    if (request.type === 'goOn') return;
  }
}

try {
  await main(JSON.parse(process.argv[2] ?? '{}'));
  process.exit(0);
} catch (error) {
  console.error(error);
  process.exit(1);
}
