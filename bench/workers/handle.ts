import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { NO_COMMITS } from '../commits.js';
import type { Address } from '../place.js';
import type { FromWorker, Progress, ReplicaSettings, ToWorker, WorkerKind } from './protocol.js';

/** A worker that commits nothing for so long, while something is left, hangs. */
const STALL_MS = 60_000;
const LOOK_MS = 1000;
/** Those with which the container image starts a worker. */
const DELIVERED_FLAGS = ['--max-semi-space-size=4'];
const PROCESS = fileURLToPath(new URL('./process.ts', import.meta.url));

/** A worker process of ours. Whoever forks it calls `close`, also after a failure. */
export class WorkerHandle {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #loaded: Promise<void>;
  #progress: Progress = { commits: NO_COMMITS, rss: 0, peakRss: 0 };
  #onMessage: (message: FromWorker) => void = () => {};
  #failure: Error | undefined;

  private constructor(
    private readonly kind: WorkerKind,
    compiled: string | undefined,
  ) {
    // Detached, so that a Ctrl-C in the terminal reaches the benchmark alone, which decides.
    this.#child = fork(compiled ?? PROCESS, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      detached: true,
      ...(compiled !== undefined && { execArgv: DELIVERED_FLAGS }),
    });
    this.#ended = once(this.#child, 'exit');
    this.#child.on('message', (message: FromWorker) => this.#receive(message));
    this.#child.on('exit', () => this.#receive({ type: 'failed', reason: 'it ended' }));
    this.#loaded = this.#until('it to load', ({ type }) => type === 'loaded');
    // Only whoever starts it wants to know.
    this.#loaded.catch(() => {});
  }

  /** Starts the process, which loads its programs and waits. */
  static fork(kind: WorkerKind, compiled?: string): WorkerHandle {
    return new WorkerHandle(kind, compiled);
  }

  get progress(): Progress {
    return this.#progress;
  }

  /** Resolves when it takes jobs. */
  async start(address: Address, settings: ReplicaSettings = {}): Promise<void> {
    await this.#loaded;
    this.#send({ type: 'start', kind: this.kind, address, settings });
    await this.#until('it to start', ({ type }) => type === 'started');
  }

  /** Resolves when it is done with so many records since it was started. */
  async handled(records: number, signal: AbortSignal): Promise<Progress> {
    await this.#until(`${records} records`, () => this.#progress.commits.handled >= records, signal);
    return this.#progress;
  }

  /** Lets it finish what it has in hand, then end. */
  async close(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#send({ type: 'stop' });
    await this.#ended;
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #send(message: ToWorker): void {
    // The callback takes the error of a process that is gone; its `exit` tells.
    this.#child.send(message, () => {});
  }

  #receive(message: FromWorker): void {
    if (message.type === 'progress') this.#progress = message.progress;
    if (message.type === 'failed') this.#failure = new Error(`${this.kind} worker: ${message.reason}`);
    this.#onMessage(message);
  }

  /** Waits for a message; one wait at a time. */
  async #until(what: string, done: (message: FromWorker) => boolean, signal?: AbortSignal): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    let abort: (() => void) | undefined;
    let seen = this.#progress.commits.handled;
    let movedAt = Date.now();
    try {
      await new Promise<void>((resolve, reject) => {
        const look = (message: FromWorker) => {
          if (done(message)) resolve();
          else if (this.#failure) reject(this.#failure);
        };
        this.#onMessage = look;
        look({ type: 'progress', progress: this.#progress });
        abort = () => reject(signal?.reason);
        if (signal?.aborted) abort();
        signal?.addEventListener('abort', abort);
        timer = setInterval(() => {
          if (this.#progress.commits.handled !== seen) movedAt = Date.now();
          seen = this.#progress.commits.handled;
          if (Date.now() - movedAt > STALL_MS) {
            reject(
              new Error(
                `${this.kind} worker: waited for ${what}, but nothing came (${seen} records are done)`,
              ),
            );
          }
        }, LOOK_MS);
      });
    } finally {
      clearInterval(timer);
      if (abort) signal?.removeEventListener('abort', abort);
      this.#onMessage = () => {};
    }
  }
}
