import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { WorkerMessage, WorkerRequest } from '../../../workers/checkpoint-worker.js';
import { NOTHING_WRITTEN, type WriterStats } from '../../writer/batch-committer.js';
import { CommandError, note } from '../command.js';

/** A worker that does not end by then is killed; that loses nothing. */
const STOP_TIMEOUT_MS = 15_000;

/** Worker replicas as processes of their own, started and stopped by the demonstration. */
export class WorkerReplicas {
  readonly #children: ChildProcess[] = [];
  readonly #stats: WriterStats[] = [];
  readonly #allGone = new AbortController();
  #stopping = false;

  /** @param env settings of the workers. Resolves when all take jobs. */
  async start(count: number, env: NodeJS.ProcessEnv): Promise<void> {
    await Promise.all(Array.from({ length: count }, (_, index) => this.#startOne(index, env)));
  }

  get pids(): number[] {
    return this.#children.map(({ pid }) => pid as number);
  }

  /** Aborted when none is left to write. */
  get allGone(): AbortSignal {
    return this.#allGone.signal;
  }

  /** What all of them have written, as far as they have told. */
  get stats(): WriterStats {
    const sum = { ...NOTHING_WRITTEN };
    for (const stats of this.#stats) {
      for (const name of Object.keys(sum) as (keyof WriterStats)[]) sum[name] += stats[name];
    }
    return sum;
  }

  /** Asks all of them how far they are; `stats` tells it a moment later. */
  askForStats(): void {
    const request: WorkerRequest = { type: 'stats' };
    for (const child of this.#children) if (child.connected) child.send(request, ignore);
  }

  /** Lets them finish what they have, then ends. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#children.map(stopOne));
  }

  async #startOne(index: number, env: NodeJS.ProcessEnv): Promise<void> {
    // Beside this file's source when run from source, beside its build when built: with the same extension.
    const program = new URL(`../../../workers/checkpoint-worker${fileExtension()}`, import.meta.url);
    const child = fork(fileURLToPath(program), {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      // Its own process group: Ctrl-C reaches the demonstration alone, which stops the workers when it has no more for them.
      detached: true,
    });
    this.#children.push(child);
    this.#stats[index] = NOTHING_WRITTEN;
    passOnWarnings(child, index);
    child.on('message', (message: WorkerMessage) => {
      if (message.type === 'stats') this.#stats[index] = message.stats;
    });
    child.on('exit', (code, signal) => {
      if (this.#stopping) return;
      const left = this.#children.filter(isRunning).length;
      const jobs =
        left > 0 ? 'its jobs are taken over when their locks expire, in up to 40 s' : 'none is left';
      note(`worker ${index + 1} ended (${signal ?? `exit code ${code}`}); ${jobs}`);
      if (left === 0) this.#allGone.abort();
    });
    const ready = once(child, 'message');
    const [first] = await Promise.race([ready, once(child, 'exit').then(() => [undefined])]);
    if ((first as WorkerMessage | undefined)?.type !== 'ready')
      throw new CommandError('a worker could not start');
  }
}

/** A worker that ends while it is asked is noticed by its exit. */
const ignore = () => {};

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function passOnWarnings(child: ChildProcess, index: number): void {
  if (!child.stdout) return;
  createInterface({ input: child.stdout }).on('line', (line) => note(`worker ${index + 1}: ${line}`));
}

async function stopOne(child: ChildProcess): Promise<void> {
  if (!isRunning(child)) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exit;
  clearTimeout(timer);
}

function fileExtension(): string {
  return import.meta.url.endsWith('.ts') ? '.ts' : '.js';
}
