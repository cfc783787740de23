/**
 * Why nothing is committed: no worker is registered, or only workers of other tables are; the queue is paused; all workers wait for
 * PostgreSQL; or Redis does not answer.
 */
export type DrainProblem =
  | 'no-worker'
  | 'no-worker-of-this-table'
  | 'queue-paused'
  | 'worker-without-postgres'
  | 'redis-away';

const TEXTS: Readonly<Record<DrainProblem, string>> = {
  'no-worker':
    'no worker is registered for this queue; start one (ckpt worker, CheckpointWriter or the option writer)',
  'no-worker-of-this-table':
    'the workers of this queue write other tables; start one with this schema and table, or give each table a queue of its own',
  'queue-paused': "the queue is paused; resume it (BullMQ's Queue.resume())",
  'worker-without-postgres': 'every worker is waiting for PostgreSQL',
  'redis-away': 'Redis does not answer',
};

/** @param problem undefined: none was found */
export function drainProblemText(problem: DrainProblem | undefined): string {
  return problem ? TEXTS[problem] : 'workers are running and have not committed them yet';
}
