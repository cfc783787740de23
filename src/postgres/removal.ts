import { DatabaseError } from '../errors.js';
import type { Database, TextRow } from './database.js';
import type { TombstoneSql } from './tombstones.js';

/** What is to be deleted: a key, and everything of it up to a fence. */
export interface Buried {
  /** What kind of key it is. */
  readonly scope: string;
  readonly key: string;
  /** Records that Redis numbered up to here are deleted; 0 for a delete without Redis. */
  readonly fence: number;
  /** Rows up to here are removed. */
  readonly rowsUpTo: number;
}

/** As `Buried`; without a fence PostgreSQL's clock gives one. */
export type RemovalRequest = Pick<Buried, 'scope' | 'key'> & { readonly fence?: number | undefined };

export interface RemovalSql extends Pick<TombstoneSql, 'bury' | 'awaitBatches'> {
  /** By scope; $1 keys, $2 fences of tombstones: deletes what is under them, and notes that it is done. */
  readonly removeBuried: Readonly<Record<string, string>>;
}

/**
 * Deletes for good, and stalls no writer. First the tombstones are committed: batches that merge from now on leave out what is
 * under them. A batch that has merged already looks once more before it commits, under a lock, and removes what it wrote
 * under them; only those that hold this lock at this moment, and may have looked before, are waited for. Then the
 * rows go. (CREATE INDEX CONCURRENTLY waits in the same way.) A tombstone whose rows are not gone, because its process died
 * in between, stays marked as not settled, and a writer settles it.
 */
export class Removal {
  constructor(
    private readonly database: Database,
    private readonly sql: RemovalSql,
  ) {}

  /**
   * @param raise makes all later sequences of Redis higher. Called before a tombstone whose fence has to be above Redis' clock, as
   *   that of a row which another clock has numbered: a delete that breaks off then must not take later saves with it.
   * @returns the fences, in the order of the requests: above all that was stored of the key
   * @throws DatabaseError where a batch holds it up for 10 s; what `raise` throws
   */
  async remove(
    requests: readonly RemovalRequest[],
    raise: (above: number) => Promise<void> = async () => {},
  ): Promise<number[]> {
    const highest = new Map<string, RemovalRequest>();
    for (const request of requests) {
      const other = highest.get(placeOf(request));
      if (!other || (other.fence ?? 0) < (request.fence ?? 0)) highest.set(placeOf(request), request);
    }
    const buried: Buried[] = [];
    for (let left = [...highest.values()]; left.length > 0; ) {
      const rows = await this.#bury(left);
      buried.push(...rows.filter((row) => row.buried));
      left = rows.filter((row) => !row.buried);
      if (left.length > 0) await raise(Math.max(...left.map(({ fence }) => fence as number)));
    }
    await this.settle(buried);
    const fences = new Map(buried.map((one) => [placeOf(one), one.fence]));
    return requests.map((request) => fences.get(placeOf(request)) as number);
  }

  /**
   * Leaves a tombstone with this very fence; none where something newer is stored by now. `settle` has to follow.
   * @returns the tombstones that were left
   */
  async bury(wanted: readonly Required<RemovalRequest>[]): Promise<Buried[]> {
    return (await this.#bury(wanted)).filter(({ buried }) => buried);
  }

  async #bury(requests: readonly RemovalRequest[]): Promise<Array<Buried & { buried: boolean }>> {
    const rows = await this.database.query(this.sql.bury, [
      requests.map(({ scope }) => scope),
      requests.map(({ key }) => key),
      requests.map(({ fence }) => fence ?? null),
    ]);
    return rows.map((row) => ({ ...buriedOf(row), buried: row.buried === 't' }));
  }

  /** Deletes what is under tombstones that are committed. */
  async settle(buried: readonly Buried[]): Promise<void> {
    await this.database.query(this.sql.awaitBatches);
    const removals = Object.entries(this.sql.removeBuried).map(async ([scope, remove]) => {
      const ofScope = buried.filter((one) => one.scope === scope);
      if (ofScope.length === 0) return;
      const values = [ofScope.map(({ key }) => key), ofScope.map(({ rowsUpTo }) => rowsUpTo)];
      await retryingDeadlocks(() => this.database.query(remove, values));
    });
    const failed = (await Promise.allSettled(removals)).find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }
}

/** How long a tombstone is needed. */
export interface TombstoneBounds {
  readonly tombstoneDays: number;
  /** The oldest record that may still arrive, from the queue or the dead letters; undefined if there is none. */
  readonly oldestSequence: number | undefined;
  /** For deletes without Redis. */
  readonly clocks: { readonly offsetUs: number; readonly redisTimeUs: number };
}

/** Few enough that no statement holds its locks for long. */
const TOMBSTONES_A_STATEMENT = 5000;

/** Settles deletes that were broken off, and removes tombstones that nobody needs any more. */
export async function maintainTombstones(
  database: Database,
  sql: RemovalSql & Pick<TombstoneSql, 'unsettled' | 'expireTombstones' | 'translateTombstones'>,
  { tombstoneDays, oldestSequence, clocks }: TombstoneBounds,
): Promise<void> {
  if (sql.translateTombstones) {
    await inPortions(database, sql.translateTombstones, [clocks.offsetUs, Math.floor(clocks.redisTimeUs)]);
  }
  const unsettled = await database.query(sql.unsettled);
  const buried = unsettled.map(buriedOf);
  if (buried.length > 0) await new Removal(database, sql).settle(buried);
  await inPortions(database, sql.expireTombstones, [tombstoneDays, oldestSequence ?? null]);
}

/** Repeats a statement that changes a limited number of rows, its last parameter, until it finds fewer. */
async function inPortions(database: Database, statement: string, values: readonly unknown[]): Promise<void> {
  let changed: number;
  do {
    const [row] = await database.query(statement, [...values, TOMBSTONES_A_STATEMENT]);
    changed = Number(row?.count);
  } while (changed === TOMBSTONES_A_STATEMENT);
}

function buriedOf({ scope, key, fence, rows_up_to }: TextRow): Buried {
  return {
    scope: scope as string,
    key: key as string,
    fence: Number(fence),
    rowsUpTo: Number(rows_up_to),
  };
}

const DEADLOCK = '40P01';
const MAX_ATTEMPTS = 5;

/** Runs what may be run again, where others lock rows in an order of their own. */
export async function retryingDeadlocks<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const deadlocked = error instanceof DatabaseError && error.sqlState === DEADLOCK;
      if (!deadlocked || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

function placeOf({ scope, key }: { scope: string; key: string }): string {
  return `${scope} ${key}`;
}
