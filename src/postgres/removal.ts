import type { CheckpointTableSql, Scope } from './checkpoint-table.js';
import type { Database } from './database.js';

/** What is to be deleted: a key, and everything of it up to a fence. */
export interface Buried {
  readonly scope: Scope;
  readonly key: string;
  readonly fence: number;
}

/** As `Buried`; without a fence PostgreSQL's clock gives one. */
export type RemovalRequest = Omit<Buried, 'fence'> & { readonly fence?: number | undefined };

/**
 * Deletes for good, and stalls no writer. First the tombstones are committed: batches that begin from now on leave out what is
 * under them. Then those batches are waited for that were in flight at that moment, for they may not have seen them. Then
 * the rows go. (CREATE INDEX CONCURRENTLY waits in the same way.) A tombstone whose rows are not gone, because its
 * process died in between, stays marked as not settled, and a writer settles it.
 */
export class Removal {
  constructor(
    private readonly database: Database,
    private readonly sql: Pick<
      CheckpointTableSql,
      'bury' | 'batchesInFlight' | 'awaitBatch' | 'removeBuried'
    >,
  ) {}

  /**
   * @returns the fences, in the order of the requests: above all that was stored of the key
   * @throws DatabaseError where a batch holds it up for 10 s
   */
  async remove(requests: readonly RemovalRequest[]): Promise<number[]> {
    const highest = new Map<string, RemovalRequest>();
    for (const request of requests) {
      const other = highest.get(placeOf(request));
      if (!other || (other.fence ?? 0) < (request.fence ?? 0)) highest.set(placeOf(request), request);
    }
    const distinct = [...highest.values()];
    const rows = await this.database.query(this.sql.bury, [
      distinct.map(({ scope }) => scope),
      distinct.map(({ key }) => key),
      distinct.map(({ fence }) => fence ?? null),
    ]);
    const buried = rows.map(({ scope, key, fence }) => ({ scope, key, fence: Number(fence) }) as Buried);
    await this.settle(buried);
    const fences = new Map(buried.map((one) => [placeOf(one), one.fence]));
    return requests.map((request) => fences.get(placeOf(request)) as number);
  }

  /** Deletes what is under tombstones that are committed. */
  async settle(buried: readonly Buried[]): Promise<void> {
    await this.#awaitBatchesInFlight();
    const removals = buried.map(({ scope, key, fence }) =>
      this.database.query(this.sql.removeBuried[scope], [key, fence]),
    );
    const failed = (await Promise.allSettled(removals)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  /** One after the other, each in a statement of its own: a lock that is held while waiting for the next would stall a batch. */
  async #awaitBatchesInFlight(): Promise<void> {
    for (const { batch } of await this.database.query(this.sql.batchesInFlight)) {
      await this.database.query(this.sql.awaitBatch, [batch]);
    }
  }
}

function placeOf({ scope, key }: { scope: Scope; key: string }): string {
  return `${scope} ${key}`;
}
