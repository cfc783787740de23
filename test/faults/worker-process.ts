import { endWithTest } from '../child-process.js';
import { type WorkerPlace, WorkerProcess, type WorkerProcessOptions } from './replica.js';

export { WorkerProcess, type WorkerProcessOptions } from './replica.js';

/**
 * Starts a worker replica as a process of its own and waits until it takes jobs. It is the program that the product ships,
 * unless the test asks for failpoints, which only the entry of the tests has. It is killed when the test is
 * over, and also when the process of the test is.
 */
export async function startWorkerProcess(
  place: WorkerPlace,
  options: WorkerProcessOptions = {},
): Promise<WorkerProcess> {
  const worker = spawnWorkerProcess(place, options);
  await worker.ready;
  return worker;
}

/** As `startWorkerProcess`, but does not wait until it takes jobs: see `ready`. */
export function spawnWorkerProcess(place: WorkerPlace, options: WorkerProcessOptions = {}): WorkerProcess {
  return endWithTest(WorkerProcess.spawn(place, options), (worker) => worker.remove());
}
