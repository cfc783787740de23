import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { forkGuarded } from '../guarded-child.js';
import type { Command, Reply, Request } from './producer-process.js';

/** Nothing takes this long: latest reads give up after 10 s, deletes too. */
const REPLY_TIMEOUT_MS = 30_000;

export class ProducerError extends Error {
  constructor(readonly code: string) {
    super(`the producer answered ${code}`);
  }
}

/** A process with a `QueuedCheckpointStore` of its own, which does what it is asked. */
export class Producer {
  readonly #child: ChildProcess;
  readonly #replies = new Map<number, (reply: Reply) => void>();
  #requests = 0;

  constructor() {
    this.#child = forkGuarded(fileURLToPath(new URL('./producer-process.ts', import.meta.url)), []);
    this.#child.on('message', (reply: Reply) => this.#replies.get(reply.number)?.(reply));
    this.#child.on('exit', () => {
      for (const [number, settle] of this.#replies) settle({ number, error: 'PRODUCER_EXITED' });
    });
  }

  /** Requests are executed in the order of the calls. @throws ProducerError with the code of the store's error */
  async ask<Value>(command: Command): Promise<Value> {
    const number = ++this.#requests;
    const replied = new Promise<Reply>((resolve) => {
      this.#replies.set(number, resolve);
    });
    const timer = setTimeout(
      () => this.#replies.get(number)?.({ number, error: 'NO_REPLY' }),
      REPLY_TIMEOUT_MS,
    );
    this.#child.send({ number, ...command } satisfies Request);
    const reply = await replied;
    clearTimeout(timer);
    this.#replies.delete(number);
    if ('error' in reply) throw new ProducerError(reply.error);
    return reply.value as Value;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, 'exit');
    this.#child.disconnect();
    await exit;
  }
}
