import { quoted } from './identifiers.js';

/**
 * SQL on the tombstones of a family of tables, which is alike for all of them: a tombstone has a scope and a key, and says that
 * nothing of it with a sequence up to its fence may be written any more.
 */
export interface TombstoneSql {
  /** Sent with BEGIN of a batch: its limits of time, and the horizon of what it can see from now on. */
  readonly openBatch: string;
  /** The sign that a batch is about to commit: deletes wait for who holds it. */
  readonly lockBatch: string;
  /**
   * $1 scopes, $2 keys, $3 fences from Redis, or null for one from this server's clock, above all that is stored. Leaves tombstones
   * and returns them; where something stored is above a fence from Redis, it leaves none and returns the fence that is needed.
   */
  readonly bury: string;
  /** Waits until every batch that is about to commit now has ended. A statement of its own, in no transaction. */
  readonly awaitBatches: string;
  /** Tombstones whose rows may still be there, because whoever left them did not come to the end of it. */
  readonly unsettled: string;
  /** $1 days, $2 sequence or null, $3 most: removes tombstones that are older than both, and returns how many. */
  readonly expireTombstones: string;
  /**
   * $1 offset of the clocks, $2 Redis' clock, $3 most: gives tombstones of deletes without Redis their fence, and returns how many;
   * undefined where the family has none.
   */
  readonly translateTombstones?: string;
}

export interface TombstoneFamily {
  /** The table, quoted. */
  readonly tombstones: string;
  /** Tells the batches of this family from those of others. */
  readonly label: string;
  /** By scope: an expression that gives the highest sequence stored of `r.key`. */
  readonly newest: Readonly<Record<string, string>>;
  /** Whether there are deletes without Redis, by PostgreSQL's clock: the table has the columns of `tombstoneClock` then. */
  readonly withClock?: boolean;
}

/** How much Redis' clock is ahead of this server's, in µs, as the batch was told. */
const CLOCK_OFFSET = 'checkpoint_queue.clock_offset';

/** Tells a batch, with its BEGIN, how much Redis' clock is ahead of this server's. */
export function tellClockOffset(offsetUs: number): string {
  return `SELECT set_config('${CLOCK_OFFSET}', '${Math.floor(offsetUs)}', true)`;
}

/** Of a tombstone `d` with a clock: whether it covers a record that Redis numbered. */
export function coversRecord(sequence: string): string {
  const offset = `coalesce(nullif(current_setting('${CLOCK_OFFSET}', true), ''), '0')::bigint`;
  return `(d.fence >= ${sequence} OR d.up_to_clock + ${offset} >= ${sequence})`;
}

/** Of a tombstone `d` with a clock: up to which sequence rows are removed, whoever numbered them. */
export const ROWS_UP_TO = 'greatest(d.fence, d.rows_up_to)';

/** Tombstones with a transaction id from here on may be such that a batch did not see when it began. */
const HORIZON = 'checkpoint_queue.horizon';
/** A client that froze in the middle of a batch must not hold up deletes for longer. */
const BATCH_IDLE_LIMIT = '30s';
/** A rival that holds a row, and a statement that takes for ever, must not hold the other rows of the batch for longer. */
const BATCH_LOCK_LIMIT = '10s';
const BATCH_STATEMENT_LIMIT = '30s';
/** How long a delete waits for one batch that was in flight before it. */
const AWAIT_BATCH_LIMIT = '10s';

/** This server's clock in µs. */
export const CLOCK = '(extract(epoch FROM clock_timestamp()) * 1000000)::bigint';

/** Of a tombstone `d`: whether it came behind the horizon of this batch. */
export const UNSEEN = `d.xid >= current_setting('${HORIZON}')::xid8`;

/** A delete without Redis has no fence until a worker translates its time; its rows are those that are stored. */
const BY_CLOCK = `CASE WHEN drawn IS NULL THEN 0 ELSE fence END,
            CASE WHEN drawn IS NULL THEN clock END, CASE WHEN drawn IS NULL THEN fence END`;
const RAISE_CLOCK = `up_to_clock = greatest(d.up_to_clock, excluded.up_to_clock),
              rows_up_to = greatest(d.rows_up_to, excluded.rows_up_to),`;

export function tombstoneSql({
  tombstones,
  label,
  newest,
  withClock = false,
}: TombstoneFamily): TombstoneSql {
  const rowsUpTo = withClock ? ROWS_UP_TO : 'd.fence';
  const lockClass = batchLockClass(label);
  const newestOfScope = Object.entries(newest)
    .map(([scope, expression]) => `WHEN '${scope}' THEN (${expression})`)
    .join(' ');
  return {
    openBatch: `
      SET LOCAL client_min_messages = warning;
      SET LOCAL idle_in_transaction_session_timeout = '${BATCH_IDLE_LIMIT}';
      SET LOCAL lock_timeout = '${BATCH_LOCK_LIMIT}';
      SET LOCAL statement_timeout = '${BATCH_STATEMENT_LIMIT}';
      SELECT set_config('${HORIZON}', pg_snapshot_xmin(pg_current_snapshot())::text, true)`,
    lockBatch: `SELECT pg_advisory_xact_lock(${lockClass}, pg_backend_pid())`,
    // Not flushed by itself: the removal, which commits after it, flushes both. One flush for a delete instead of two.
    bury: `
      WITH unflushed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
        wanted AS MATERIALIZED (
          SELECT r.scope, r.key, r.fence AS drawn, ${CLOCK} AS clock,
              greatest(coalesce(r.fence, ${CLOCK}), CASE r.scope ${newestOfScope} END) AS fence
            FROM unnest($1::text[], $2::text[], $3::bigint[]) AS r (scope, key, fence), unflushed),
        buried AS (
          INSERT INTO ${tombstones} AS d (scope, key, ${withClock ? 'fence, up_to_clock, rows_up_to' : 'fence'}, settled, xid)
          SELECT scope, key, ${withClock ? BY_CLOCK : 'fence'}, false, pg_current_xact_id() FROM wanted
           WHERE drawn IS NULL OR fence = drawn ORDER BY scope, key COLLATE "C"
          ON CONFLICT (scope, key) DO UPDATE
            SET fence = greatest(d.fence, excluded.fence), ${withClock ? RAISE_CLOCK : ''}
              created_at = now(), settled = false, xid = excluded.xid
          RETURNING scope, key, fence, ${rowsUpTo} AS rows_up_to)
      SELECT scope, key, fence, rows_up_to, true AS buried FROM buried
      UNION ALL SELECT scope, key, fence, fence, false FROM wanted WHERE fence > drawn`,
    // Each lock is let go before the next one is waited for: held, it would stall the next batch of that connection.
    awaitBatches: `
      DO $$
      DECLARE batch integer;
      BEGIN
        FOR batch IN
          SELECT objid::bigint::integer FROM pg_locks
           WHERE locktype = 'advisory' AND classid = ${lockClass} AND objsubid = 2 AND mode = 'ExclusiveLock' AND granted
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        LOOP
          SET LOCAL lock_timeout = '${AWAIT_BATCH_LIMIT}';
          PERFORM pg_advisory_xact_lock_shared(${lockClass}, batch);
          COMMIT;
        END LOOP;
      END $$`,
    unsettled: `
      SELECT scope, key, fence, ${rowsUpTo} AS rows_up_to FROM ${tombstones} d
       WHERE NOT settled AND created_at < now() - interval '1 minute' ORDER BY created_at LIMIT 1000`,
    expireTombstones: `
      WITH expired AS (DELETE FROM ${tombstones} WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM ${tombstones} d
         WHERE settled AND created_at < now() - make_interval(days => $1) AND ($2::bigint IS NULL OR ${rowsUpTo} < $2)
         LIMIT $3 FOR UPDATE SKIP LOCKED)) RETURNING 1)
      SELECT count(*) AS count FROM expired`,
    ...(withClock && {
      // Never above Redis' clock now: where a clock was set since the delete, no later save is stopped by it.
      translateTombstones: `
      WITH translated AS (
        UPDATE ${tombstones} SET fence = greatest(fence, least(up_to_clock + $1::bigint, $2::bigint)), up_to_clock = NULL
         WHERE ctid = ANY (ARRAY(SELECT ctid FROM ${tombstones} WHERE up_to_clock IS NOT NULL LIMIT $3 FOR UPDATE SKIP LOCKED))
        RETURNING 1)
      SELECT count(*) AS count FROM translated`,
    }),
  };
}

/**
 * What a table of tombstones is made of, with the indexes for those not settled, by age, and by transaction. Each statement does
 * no harm where it was run before.
 */
export function tombstoneTable(tombstones: string, scopes: readonly string[]): string {
  return `
    CREATE TABLE IF NOT EXISTS ${tombstones} (
      scope TEXT NOT NULL CHECK (scope IN (${scopes.map((scope) => `'${scope}'`).join(', ')})),
      key TEXT NOT NULL,
      fence BIGINT NOT NULL,
      created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
      PRIMARY KEY (scope, key)
    );`;
}

/**
 * Of a delete without Redis. up_to_clock: this server's clock, in µs, which a worker translates into a fence. rows_up_to: the highest
 * sequence stored when the tombstone was left, whichever clock it came from.
 */
export function tombstoneClock(tombstones: string, indexPrefix: string): string {
  return `
    ALTER TABLE ${tombstones} ADD COLUMN IF NOT EXISTS up_to_clock BIGINT;
    ALTER TABLE ${tombstones} ADD COLUMN IF NOT EXISTS rows_up_to BIGINT;
    CREATE INDEX IF NOT EXISTS ${quoted(`${indexPrefix}_clk`)} ON ${tombstones} (up_to_clock) WHERE up_to_clock IS NOT NULL;`;
}

/** Not settled: a delete left its tombstone and has not removed the rows under it yet. xid: the transaction that left it. */
export function tombstoneSettling(tombstones: string, indexPrefix: string): string {
  return `
    ALTER TABLE ${tombstones} ADD COLUMN IF NOT EXISTS settled BOOLEAN NOT NULL DEFAULT true;
    ALTER TABLE ${tombstones} ADD COLUMN IF NOT EXISTS xid XID8 NOT NULL DEFAULT '0';
    -- Short names: PostgreSQL cuts them after 63 bytes, which those of two indexes of a long table name might share.
    CREATE INDEX IF NOT EXISTS ${quoted(`${indexPrefix}_due`)} ON ${tombstones} (created_at) WHERE NOT settled;
    CREATE INDEX IF NOT EXISTS ${quoted(`${indexPrefix}_age`)} ON ${tombstones} (created_at);
    CREATE INDEX IF NOT EXISTS ${quoted(`${indexPrefix}_xid`)} ON ${tombstones} (xid);`;
}

/**
 * First key of the advisory locks of a family's batches, the second is the number of the batch: FNV-1a of its label, as a
 * positive 32-bit integer.
 */
function batchLockClass(label: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(`checkpoint-queue ${label}`)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 1;
}
