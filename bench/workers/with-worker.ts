import { WorkerHandle } from './handle.js';
import type { WorkerKind } from './protocol.js';

/** Lends a worker process, not started yet, that has ended when this settles. */
export async function withWorker<T>(kind: WorkerKind, use: (worker: WorkerHandle) => Promise<T>): Promise<T> {
  const worker = WorkerHandle.fork(kind);
  try {
    const result = await use(worker);
    await worker.close();
    return result;
  } finally {
    await worker.kill();
  }
}
