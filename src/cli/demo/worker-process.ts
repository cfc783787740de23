import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { WorkerMessage, WorkerRequest } from '../../../workers/checkpoint-worker.js';
import type { WriterStats } from '../../writer/checkpoint-writer.js';
import { CommandError } from '../command.js';

export interface WorkerProcessOptions {
  /** Names it in what is told. */
  number: number;
  env: NodeJS.ProcessEnv;
  /** Told what the worker logs, warnings and errors. */
  onLine(line: string): void;
  /** Told when it ends without having been stopped. */
  onDeath(how: string): void;
}

/** The worker beside us: TypeScript when we run from source, JavaScript when we run from `dist`. */
const ENTRY = fileURLToPath(
  new URL(`../../../workers/checkpoint-worker${import.meta.url.slice(-3)}`, import.meta.url),
);
/** Above the worker's own deadline for what it has in hand. */
const KILL_AFTER_MS = 20_000;
const NOTHING_WRITTEN: WriterStats = {
  batches: 0,
  records: 0,
  bytes: 0,
  committed: 0,
  superseded: 0,
  deleted: 0,
};

/** One worker replica as a child process, which also ends when this process does. */
export class WorkerProcess {
  readonly number: number;
  readonly #child: ChildProcess;
  readonly #ready: Promise<void>;
  readonly #ended: Promise<void>;
  #stopping: Promise<void> | undefined;
  #stats = NOTHING_WRITTEN;

  constructor({ number, env, onLine, onDeath }: WorkerProcessOptions) {
    this.number = number;
    this.#child = fork(ENTRY, {
      env: { ...env, CKPT_LOG_LEVEL: 'warn' },
      // In a process group of its own: a Ctrl-C in the terminal is ours to handle.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', (line) => onLine(line));
    }
    this.#ready = new Promise((resolve) => {
      this.#child.on('message', (message: WorkerMessage) => {
        if (message.type === 'ready') resolve();
        else this.#stats = message.stats;
      });
    });
    this.#ended = this.#untilEnded((how) => {
      if (!this.#stopping) onDeath(how);
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** What it has written, when it last said so. Stopping it makes them final. */
  get stats(): WriterStats {
    return this.#stats;
  }

  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Resolves when it takes jobs. @throws CommandError if it ends before that */
  async ready(): Promise<void> {
    const ended = this.#ended.then(() => 'ended' as const);
    if ((await Promise.race([this.#ready, ended])) === 'ended') {
      throw new CommandError(`worker ${this.number} ended before it was ready`);
    }
  }

  /** Asks for fresh stats; they are in `stats` when the worker has answered. */
  requestStats(): void {
    const request: WorkerRequest = { type: 'stats' };
    // It may be gone by now, which is told elsewhere.
    if (this.#child.connected) this.#child.send(request, () => {});
  }

  /** Lets it commit what it has in hand; resolves when it has ended, at the latest by SIGKILL. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const patience = new AbortController();
    this.#child.kill('SIGTERM');
    const kill = delay(KILL_AFTER_MS, undefined, { signal: patience.signal }).then(
      () => this.#child.kill('SIGKILL'),
      () => false,
    );
    await this.#ended;
    patience.abort();
    await kill;
  }

  /** Never rejects. The channel is awaited too: the last stats may still be in it when the process is gone. */
  async #untilEnded(tell: (how: string) => void): Promise<void> {
    try {
      const [[code, signal]] = await Promise.all([once(this.#child, 'exit'), once(this.#child, 'disconnect')]);
      tell(signal ? `was ended by ${signal}` : `ended with code ${code}`);
    } catch (error) {
      tell(`could not run: ${(error as NodeJS.ErrnoException).code}`);
    }
  }
}
