import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { type FailpointName, newFailpointPlan } from '../faults/failpoint.js';
import { WorkerProcess, type WorkerProcessOptions } from '../faults/replica.js';
import { QUEUE, SCHEMA } from './arena.js';
import type { Line } from './line.js';

export const LOCK_DURATION_MS = 2000;
const SHUTDOWN_DEADLINE_MS = 4000;
/** After the deadline: giving jobs back, closing connections, and a busy machine. */
const SHUTDOWN_GRACE_MS = 10_000;
/** Where nobody ordered the end, or the end was ordered by a failpoint. */
const RESPAWN_MS = 300;

const ENV = {
  CKPT_LOCK_DURATION_MS: String(LOCK_DURATION_MS),
  CKPT_SHUTDOWN_DEADLINE_MS: String(SHUTDOWN_DEADLINE_MS),
};

/** One worker replica, that is always there again: whoever ends it, another process takes its place. */
export class WorkerSlot {
  /** Ends that nobody ordered, and shutdowns that came to no end. */
  readonly crashes: string[] = [];
  /** All that its processes wrote. */
  readonly output: string[] = [];
  spawned = 0;
  #worker: WorkerProcess | undefined;
  #ordered = false;
  #closed = false;
  #respawnMs = RESPAWN_MS;
  #running: Promise<void>;

  constructor(readonly line: Line) {
    this.#running = this.#run({});
  }

  get name(): string {
    return this.line.name;
  }

  get pid(): number | undefined {
    return this.#worker?.running ? this.#worker.pid : undefined;
  }

  /** Resolves when a process takes jobs. */
  async ready(): Promise<void> {
    for (;;) {
      const worker = this.#worker;
      const ready = await worker?.ready.then(
        () => true,
        () => false,
      );
      if (ready && worker === this.#worker) return;
      await delay(RESPAWN_MS);
    }
  }

  /** kill -9; the next one comes after so long. */
  kill(respawnMs: number): void {
    this.#respawnMs = respawnMs;
    this.#order('SIGKILL');
  }

  /** SIGSTOP until `resume`. */
  suspend(): void {
    this.#worker?.kill('SIGSTOP');
  }

  resume(): void {
    this.#worker?.kill('SIGCONT');
  }

  /** SIGTERM. Resolves when it has ended by itself, or was killed because it did not; the latter is a crash. */
  async terminate(): Promise<void> {
    const worker = this.#worker;
    if (!worker?.running) return;
    await worker.ready.catch(() => {}); // before it listens to signals, SIGTERM just ends it
    this.#order('SIGTERM');
    const patienceMs = SHUTDOWN_DEADLINE_MS + SHUTDOWN_GRACE_MS;
    if (!(await endsWithin(worker, patienceMs, new AbortController().signal))) {
      this.crashes.push(`${this.name} did not end after SIGTERM`);
      worker.kill('SIGKILL');
      return;
    }
    const end = await worker.ended;
    if (end.code !== 0 && !isRefused(worker)) {
      this.crashes.push(
        `${this.name} ended after SIGTERM with ${end.signal ?? `exit code ${end.code}`}: ${tail(worker)}`,
      );
    }
  }

  /**
   * Puts one in its place that dies at the failpoint, or else after so long.
   * @returns whether it got there
   */
  async dieAt(at: FailpointName, patienceMs: number, signal: AbortSignal): Promise<boolean> {
    const plan = await newFailpointPlan({ at, action: 'die' });
    try {
      this.#order('SIGKILL');
      this.#next = { failpoints: plan };
      this.#respawnMs = 0;
      const doomed = await this.#after(this.spawned);
      this.#ordered = true;
      const died = await endsWithin(doomed, patienceMs, signal);
      if (!died) doomed.kill('SIGKILL');
      await doomed.ended;
      return died;
    } finally {
      await rm(plan.folder, { recursive: true });
    }
  }

  /** Ends it for good, in an orderly way if it can. */
  async close(): Promise<void> {
    this.#closed = true;
    this.resume();
    await this.terminate();
    this.#worker?.kill('SIGKILL');
    await this.#running;
  }

  #next: WorkerProcessOptions = {};

  /** The process that comes after so many. */
  async #after(spawned: number): Promise<WorkerProcess> {
    while (this.spawned === spawned || !this.#worker) await delay(20);
    return this.#worker;
  }

  #order(signal: 'SIGKILL' | 'SIGTERM'): void {
    this.#ordered = true;
    this.#worker?.kill(signal);
  }

  async #run(first: WorkerProcessOptions): Promise<void> {
    let options = first;
    while (!this.#closed) {
      this.#ordered = false;
      this.#respawnMs = RESPAWN_MS;
      const { redis, postgres } = this.line;
      const place = { redis: redis.url, postgres: postgres.url, schema: SCHEMA, queue: QUEUE };
      const worker = WorkerProcess.spawn(place, { ...options, env: ENV });
      this.#worker = worker;
      this.spawned++;
      if (this.#closed) worker.kill('SIGKILL');
      const end = await worker.ended;
      if (!this.#ordered && !this.#closed && !isRefused(worker)) {
        this.crashes.push(
          `${this.name} ended by itself (${end.signal ?? `exit code ${end.code}`}): ${tail(worker)}`,
        );
      }
      this.output.push(...worker.output);
      await worker.remove();
      if (!this.#closed) await delay(this.#respawnMs);
      options = this.#next;
      this.#next = {};
    }
  }
}

/** Aborted, it waits no longer. */
async function endsWithin(worker: WorkerProcess, ms: number, signal: AbortSignal): Promise<boolean> {
  const patience = new AbortController();
  const giveUp = () => patience.abort();
  signal.addEventListener('abort', giveUp);
  if (signal.aborted) giveUp();
  const late = delay(ms, undefined, { signal: patience.signal }).catch(() => {});
  const ended = await Promise.race([worker.ended.then(() => true), late.then(() => false)]);
  signal.removeEventListener('abort', giveUp);
  patience.abort();
  return ended;
}

/** It starts with what it has rights for only: whoever runs it starts it again. */
function isRefused(worker: WorkerProcess): boolean {
  return tail(worker).includes('NOPERM');
}

function tail(worker: WorkerProcess): string {
  return worker.output.slice(-3).join(' | ').slice(-1000);
}
