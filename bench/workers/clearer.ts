import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { DatabaseError, QueuedCheckpointStore } from '../../src/index.js';
import { openLoop } from '../open-loop.js';
import type { Address } from '../place.js';

/** Clears of one window: of these executions in turn. */
export interface ClearOrder {
  readonly executionIds: readonly string[];
  readonly perSecond: number;
  readonly forMs: number;
}

export interface Cleared {
  /** Of those that failed too: until they did. */
  readonly clearMs: number[];
  /** In the order of the calls; the failed ones are left out. */
  readonly executionIds: string[];
}

type ToClearer = { type: 'clear'; order: ClearOrder } | { type: 'stop' };
type FromClearer = { type: 'ready' } | { type: 'cleared'; cleared: Cleared };

/**
 * A process with a store of its own that clears while others save, as operators and other agents do: in the process that
 * makes the load, a clear would mostly measure how long its event loop takes to come round.
 */
export class Clearer {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(address: Address) {
    this.#child = fork(fileURLToPath(import.meta.url), [JSON.stringify(address)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      detached: true,
    });
    this.#ended = once(this.#child, 'exit');
  }

  /** Lends one that has ended when this settles. */
  static async with<T>(address: Address, use: (clearer: Clearer) => Promise<T>): Promise<T> {
    const clearer = new Clearer(address);
    try {
      await clearer.#next('ready');
      const result = await use(clearer);
      clearer.#send({ type: 'stop' });
      await clearer.#ended;
      return result;
    } finally {
      clearer.#child.kill('SIGKILL');
      await clearer.#ended;
    }
  }

  async clear(order: ClearOrder): Promise<Cleared> {
    this.#send({ type: 'clear', order });
    const { cleared } = await this.#next('cleared');
    return cleared;
  }

  #send(message: ToClearer): void {
    this.#child.send(message, () => {}); // one that is gone is noticed by its end
  }

  async #next<Type extends FromClearer['type']>(type: Type): Promise<Extract<FromClearer, { type: Type }>> {
    const gone = this.#ended.then(() => {
      throw new Error('the process that clears ended');
    });
    const [message] = (await Promise.race([once(this.#child, 'message'), gone])) as [FromClearer];
    if (message.type !== type) throw new Error(`the process that clears said ${message.type}, not ${type}`);
    return message as Extract<FromClearer, { type: Type }>;
  }
}

async function work({ redisUrl, databaseUrl, schema, queue }: Address): Promise<void> {
  const store = new QueuedCheckpointStore({ redis: redisUrl, postgres: databaseUrl, schema, queue });
  const tell = (message: FromClearer) => process.send?.(message, () => {});
  process.on('disconnect', () => process.exit(1));
  tell({ type: 'ready' });
  for (;;) {
    const [message] = (await once(process, 'message')) as [ToClearer];
    if (message.type === 'stop') break;
    tell({ type: 'cleared', cleared: await clear(store, message.order) });
  }
  await store.close();
  process.exit(0);
}

async function clear(store: QueuedCheckpointStore, order: ClearOrder): Promise<Cleared> {
  const cleared: string[] = [];
  const call = async (index: number) => {
    const executionId = order.executionIds[index % order.executionIds.length] as string;
    try {
      await store.clear(executionId);
      cleared.push(executionId);
    } catch (error) {
      // It did not get its turn in PostgreSQL in time: a poor figure, and no reason to lose the others.
      if (!(error instanceof DatabaseError)) throw error;
    }
  };
  const { signal } = new AbortController();
  const clearMs = await openLoop({ perSecond: order.perSecond, forMs: order.forMs, call, signal });
  return { clearMs, executionIds: cleared };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await work(JSON.parse(process.argv[2] as string));
