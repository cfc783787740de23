import { Worker } from 'bullmq';
import type { ChunkJob } from '../chunk.js';

/** A BullMQ worker that can be let go of while its `close` waits for a Redis that is away. */
export class ChunkWorker extends Worker<ChunkJob, void> {
  /** Ends the renewal of locks and the connections, which would keep the process alive. */
  abandon(): void {
    void this.lockManager.close();
    this.disconnect().catch(() => {});
  }
}
