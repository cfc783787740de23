import { Worker } from 'bullmq';

/** A BullMQ worker that can be let go of while its `close` waits for a Redis that is away. */
export class AbandonableWorker<Data, Result> extends Worker<Data, Result> {
  /** Ends the renewal of locks and the connections, which would keep the process alive. */
  abandon(): void {
    void this.lockManager.close();
    this.disconnect().catch(() => {});
  }
}
