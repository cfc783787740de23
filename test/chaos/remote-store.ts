import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type {
  Checkpoint,
  CheckpointInput,
  ListOptions,
  QueuedCheckpointStoreOptions,
  ReadOptions,
} from '../../src/index.js';
import { forkGuarded, kill } from '../guarded-child.js';
import type { Method, RemoteFailure, Reply, Request } from './producer-process.js';

const PROGRAM = fileURLToPath(new URL('./producer-process.ts', import.meta.url));
/** The producer process was killed, or is not back yet: what came of the call is not known. */
export const PRODUCER_GONE = 'PRODUCER_GONE';
const RESPAWN_MS = 500;

/** An error of a store in another process. Its code is `UNFORESEEN` where it is none of this package's errors. */
export class RemoteError extends Error {
  readonly code: string;

  constructor({ code, message }: RemoteFailure) {
    super(message);
    this.code = code ?? 'UNFORESEEN';
  }
}

export interface Saved {
  readonly id: string;
  readonly sequence: number;
}

/** A store in a process of its own, which may be killed: it is started again, and what was asked and not answered rejects. */
export class RemoteStore {
  readonly name: string;
  /** Ends that nobody ordered. */
  readonly crashes: string[] = [];
  kills = 0;
  readonly #options: QueuedCheckpointStoreOptions;
  readonly #replies = new Map<number, (reply: Reply) => void>();
  #child: ChildProcess;
  /** Resolves when the process takes calls, or has ended. */
  #up: Promise<unknown> = Promise.resolve();
  #ordered = false;
  #closed = false;
  #numbers = 0;
  #respawning: Promise<void> = Promise.resolve();
  #output = '';

  constructor(name: string, options: QueuedCheckpointStoreOptions) {
    this.name = name;
    this.#options = options;
    this.#child = this.#spawn();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** What its processes wrote to standard output and standard error, which should be nothing. */
  get output(): string {
    return this.#output;
  }

  /** Resolves when the process takes calls, or has ended. */
  async up(): Promise<void> {
    await this.#up;
  }

  save(checkpoint: CheckpointInput): Promise<Saved> {
    return this.#call('save', checkpoint);
  }

  saveCommitted(checkpoint: CheckpointInput): Promise<Saved> {
    return this.#call('saveCommitted', checkpoint);
  }

  load(id: string, options: ReadOptions): Promise<Checkpoint> {
    return this.#call('load', id, options);
  }

  latest(executionId: string, options: ReadOptions): Promise<Checkpoint | undefined> {
    return this.#call('latest', executionId, options);
  }

  list(executionId: string, options: ListOptions): Promise<Checkpoint[]> {
    return this.#call('list', executionId, options);
  }

  delete(id: string): Promise<void> {
    return this.#call('delete', id);
  }

  clear(executionId: string): Promise<void> {
    return this.#call('clear', executionId);
  }

  /** kill -9; it is started again. */
  kill(): void {
    this.kills++;
    this.#ordered = true;
    this.#child.kill('SIGKILL');
  }

  /** Ends it. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#respawning;
    await kill(this.#child);
  }

  async #call<Value>(method: Method, ...args: unknown[]): Promise<Value> {
    const number = ++this.#numbers;
    const reply = await new Promise<Reply>((resolve) => {
      this.#replies.set(number, resolve);
      const child = this.#child;
      const gone = () => resolve({ number, failure: { code: PRODUCER_GONE, message: 'killed' } });
      if (!child.connected) gone();
      else child.send({ number, method, args } satisfies Request, (error) => error && gone());
    });
    this.#replies.delete(number);
    if ('failure' in reply) throw new RemoteError(reply.failure);
    return reply.value as Value;
  }

  #spawn(): ChildProcess {
    this.#ordered = false;
    const child = forkGuarded(PROGRAM, [JSON.stringify(this.#options)], {
      // Dates stay dates.
      serialization: 'advanced',
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
      });
    }
    this.#up = Promise.race([once(child, 'message'), once(child, 'close')]).catch(() => {});
    child.on('message', (message) => {
      const reply = message as Reply;
      this.#replies.get(reply.number)?.(reply);
    });
    child.on('error', () => {}); // it could not be told something: its end says so
    child.once('close', (code, signal) => this.#ended(code, signal));
    return child;
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): void {
    for (const [number, settle] of this.#replies)
      settle({ number, failure: { code: PRODUCER_GONE, message: 'killed' } });
    if (this.#closed) return;
    if (!this.#ordered) this.crashes.push(`${this.name} ended by itself (${signal ?? `exit code ${code}`})`);
    this.#respawning = delay(RESPAWN_MS).then(() => {
      if (!this.#closed) this.#child = this.#spawn();
    });
  }
}
