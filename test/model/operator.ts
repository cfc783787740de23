import { setTimeout as delay } from 'node:timers/promises';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { QueueKeys } from '../../src/redis/queue-keys.js';
import { OPERATOR_ACTS, type OperatorAct } from '../faults/operator-acts.js';

/** Jobs come together meanwhile, which writers would have in hand otherwise. */
const PAUSED_MS = 15;

/** Does to the jobs what an operator can, while writers have some of them in hand and others wait. */
export class Operator {
  readonly #queue: Queue;

  constructor(client: Redis, keys: QueueKeys) {
    this.#queue = new Queue(keys.queue, { prefix: keys.prefix, connection: client });
    this.#queue.on('error', () => {}); // told by what it is asked
  }

  /** Pauses the queue first. A job that a writer holds may not be removed: then some of them are left. */
  async act(act: OperatorAct): Promise<void> {
    await this.#queue.pause();
    await delay(PAUSED_MS);
    await OPERATOR_ACTS[act](this.#queue).catch(() => {});
    await this.#queue.resume();
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }
}
