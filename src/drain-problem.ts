/** Why nothing is committed: no worker is registered, the queue is paused, or all workers wait for PostgreSQL. */
export type DrainProblem = 'no-worker' | 'queue-paused' | 'worker-without-postgres';

const TEXTS: Readonly<Record<DrainProblem, string>> = {
  'no-worker':
    'no worker is registered for this queue; start one (ckpt worker, CheckpointWriter or the option writer)',
  'queue-paused': "the queue is paused; resume it (BullMQ's Queue.resume())",
  'worker-without-postgres': 'every worker is waiting for PostgreSQL',
};

/** @param problem undefined: none was found */
export function drainProblemText(problem: DrainProblem | undefined): string {
  return problem ? TEXTS[problem] : 'workers are running and have not committed them yet';
}
