import { openSync } from 'node:fs';
import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Where a worker of a test can be made to fail. The product knows nothing of them: they are wrapped around its pool and
 * BullMQ's classes by `worker-entry.ts`, a program that only tests start.
 *
 * - `before_copy`: the transaction is open, its COPY is not sent.
 * - `mid_copy`: half of the bytes of the COPY are sent.
 * - `after_copy`: all is staged, nothing merged.
 * - `after_commit`: PostgreSQL has answered the COMMIT of a batch, the writer does not know yet.
 * - `before_ack`: the writer is done with a chunk, its job is not completed in Redis yet.
 * - `after_dead_add`: a job was added to another queue, as dead letters are; the job it came from is not completed yet.
 */
export type FailpointName =
  | 'before_copy'
  | 'mid_copy'
  | 'after_copy'
  | 'after_commit'
  | 'before_ack'
  | 'after_dead_add';

export interface Failpoint {
  at: FailpointName;
  /**
   * - `die`: the process kills itself with SIGKILL, at this very place.
   * - `hold`: it waits here until the test lets it go on.
   * - `throw`: the connection seems to break here.
   */
  action: 'die' | 'hold' | 'throw';
  /** How often, all processes of the test together; afterwards it is passed. Default 1. */
  times?: number;
}

/** What is to happen in the worker processes of one test. Plain data, for it goes to them as an argument. */
export interface FailpointPlan {
  /** Holds an empty file for every time that one was reached and acted: the count that outlives the processes. */
  readonly folder: string;
  readonly points: readonly Failpoint[];
}

/** Whoever makes it removes its folder. */
export async function newFailpointPlan(...points: Failpoint[]): Promise<FailpointPlan> {
  return { folder: await mkdtemp(join(tmpdir(), 'checkpoint-queue-failpoints-')), points };
}

/** How often the processes have acted at their failpoints. */
export async function actedAt({ folder }: FailpointPlan, name: FailpointName): Promise<number> {
  const files = await readdir(folder);
  return files.filter((file) => file.startsWith(`${name}.`)).length;
}

/** As a connection that broke: whether what it carried was done is not known. */
export class InjectedFailure extends Error {
  readonly code = 'ECONNRESET';

  constructor(at: FailpointName) {
    super(`failpoint ${at}`);
  }
}

/** The failpoints as the code of a worker process passes them. */
export class Failpoints {
  constructor(
    private readonly plan: FailpointPlan,
    private readonly hold: (at: FailpointName) => Promise<void>,
  ) {}

  has(...names: FailpointName[]): boolean {
    return this.plan.points.some(({ at }) => names.includes(at));
  }

  /** Resolves if the process is to go on. @throws InjectedFailure */
  async reach(name: FailpointName): Promise<void> {
    for (const { at, action, times = 1 } of this.plan.points) {
      if (at !== name || !this.#claim(name, times)) continue;
      switch (action) {
        case 'die':
          process.kill(process.pid, 'SIGKILL');
          break;
        case 'hold':
          await this.hold(name);
          break;
        case 'throw':
          throw new InjectedFailure(name);
      }
    }
  }

  /** Only one process can make a file: so many act, whichever come first. */
  #claim(name: FailpointName, times: number): boolean {
    for (let turn = 1; turn <= times; turn++) {
      try {
        openSync(join(this.plan.folder, `${name}.${turn}`), 'wx');
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
    return false;
  }
}
