import { WorkerHandle } from './handle.js';
import type { WorkerKind } from './protocol.js';

/**
 * Lends a worker process, not started yet, that has ended when this settles.
 * @param program `process.ts`, compiled; without one it is compiled as it is loaded
 */
export async function withWorker<T>(
  kind: WorkerKind,
  use: (worker: WorkerHandle) => Promise<T>,
  program?: string,
): Promise<T> {
  const worker = WorkerHandle.fork(kind, program);
  try {
    const result = await use(worker);
    await worker.close();
    return result;
  } finally {
    await worker.kill();
  }
}

/** Lends several of them. */
export function withWorkers<T>(
  kind: WorkerKind,
  count: number,
  use: (workers: readonly WorkerHandle[]) => Promise<T>,
): Promise<T> {
  const lend = (workers: readonly WorkerHandle[]): Promise<T> =>
    workers.length === count ? use(workers) : withWorker(kind, (worker) => lend([...workers, worker]));
  return lend([]);
}
