import type { Database, PgClient } from '../postgres/database.js';
import { queryRows } from '../postgres/database.js';
import type { TableNames } from '../postgres/identifiers.js';
import { Removal, retryingDeadlocks } from '../postgres/removal.js';
import { type DueRow, RetentionSql, type Statement } from '../postgres/retention.js';
import { TableStatements } from '../postgres/table-statements.js';
import { timestampText } from '../postgres/timestamp-text.js';
import type { LookAtPending } from '../redis/pending-floors.js';
import {
  checkPruneOptions,
  type PruneOptions,
  type PruneProgress,
  type PruneResult,
} from './prune-options.js';

/** Rows that one transaction removes: some 10 ms in which a batch that wants to write one of them waits. */
const BATCH_ROWS = 1000;
/** Executions that one statement looks at. */
const SURVEY_EXECUTIONS = 1000;
/**
 * A producer whose reply was lost may add its job once more until its deadline, five minutes at most, and a receipt may be asked
 * for a while. What was saved within this time, in µs, leaves a tombstone, as a delete does.
 */
const RECENT_US = 10 * 60 * 1_000_000;
/** Rows are never waited for; the table may be locked by whoever changes it. */
const BATCH_LIMITS = `SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '30s'`;
const BATCH_TIMEOUT_MS = 35_000;

/**
 * Removes old checkpoints in small transactions, beside writers and other prunes.
 *
 * Nothing that is removed comes back by a late delivery or a replay: a row stays as long as records of its execution that are as
 * old may still arrive (`heldBack`). So an old row needs no tombstone, of which millions would have to be kept for weeks; only
 * what was saved within the last ten minutes leaves one.
 */
export class Pruning {
  readonly #statements: TableStatements;

  /** @param pending undefined where no queue writes the table */
  constructor(
    private readonly database: Database,
    private readonly names: TableNames,
    private readonly pending?: LookAtPending,
  ) {
    this.#statements = new TableStatements(names);
  }

  /** @throws InvalidConfigError, DatabaseError, and what the look at Redis throws; what was removed until then stays removed */
  async prune(options: PruneOptions): Promise<PruneResult> {
    checkPruneOptions(options);
    const { keepLast, olderThan, dryRun = false, signal, onProgress } = options;
    const before = olderThan === undefined ? undefined : timestampText(new Date(Date.now() - olderThan));
    const sql = new RetentionSql(this.names, { keepLast, before });
    let progress: PruneProgress = { pruned: 0, heldBack: 0 };
    const interrupted = () => signal?.aborted === true;
    if (interrupted()) return { ...progress, interrupted: true };
    for await (const rows of this.#batches(sql, options)) {
      const { old, recent, heldBack } = await this.#judged(rows);
      const pruned = dryRun ? old.length + recent.length : await this.#remove(sql, old, recent);
      progress = { pruned: progress.pruned + pruned, heldBack: progress.heldBack + heldBack };
      onProgress?.(progress);
      if (interrupted()) return { ...progress, interrupted: true };
    }
    return { ...progress, interrupted: interrupted() };
  }

  /** What is due, execution by execution. */
  async *#batches(sql: RetentionSql, { executionId, signal }: PruneOptions): AsyncGenerator<DueRow[]> {
    if (executionId !== undefined) return yield* this.#batchesOfOne(sql, executionId);
    for (let after: string | undefined; signal?.aborted !== true; ) {
      const surveyed = await this.#query(sql.survey(after, SURVEY_EXECUTIONS, BATCH_ROWS));
      let gathered: string[] = [];
      let rows = 0;
      for (const { execution_id: id, due } of surveyed) {
        if (Number(due) === BATCH_ROWS) {
          yield* this.#batchesOfOne(sql, id as string);
          continue;
        }
        if (Number(due) === 0) continue;
        if (rows + Number(due) > BATCH_ROWS) {
          yield await this.#due(sql, gathered);
          gathered = [];
          rows = 0;
        }
        gathered.push(id as string);
        rows += Number(due);
      }
      if (gathered.length > 0) yield await this.#due(sql, gathered);
      if (surveyed.length < SURVEY_EXECUTIONS) return;
      after = surveyed.at(-1)?.execution_id as string;
    }
  }

  /** Goes on behind what it has seen: what is held back, or locked, is passed over. */
  async *#batchesOfOne(sql: RetentionSql, executionId: string): AsyncGenerator<DueRow[]> {
    for (let last: DueRow | undefined; ; ) {
      const rows = await this.#due(sql, [executionId], last);
      if (rows.length > 0) yield rows;
      if (rows.length < BATCH_ROWS) return;
      last = rows.at(-1);
    }
  }

  async #due(sql: RetentionSql, executionIds: readonly string[], after?: DueRow): Promise<DueRow[]> {
    const rows = await this.#query(sql.due(executionIds, BATCH_ROWS, after));
    return rows.map((row) => ({
      id: row.id as string,
      executionId: row.execution_id as string,
      timestamp: row.timestamp as string,
      version: Number(row.version),
      sequence: Number(row.write_seq),
    }));
  }

  /**
   * Redis is looked at after the rows were seen: whatever wrote one of them was in the queue before, and is there still if it can
   * be delivered again.
   */
  async #judged(rows: readonly DueRow[]): Promise<{ old: DueRow[]; recent: DueRow[]; heldBack: number }> {
    if (!this.pending || rows.length === 0) return { old: [...rows], recent: [], heldBack: 0 };
    const executionIds = [...new Set(rows.map(({ executionId }) => executionId))];
    const newest = Math.max(...rows.map(({ sequence }) => sequence));
    const { floors, now } = await this.pending(executionIds, newest);
    const floorOf = new Map(executionIds.map((id, index) => [id, floors[index] ?? Number.POSITIVE_INFINITY]));
    // Numbered by a clock ahead of Redis', its tombstone would stop later saves.
    const free = rows.filter(
      ({ executionId, sequence }) => sequence <= now && sequence < (floorOf.get(executionId) as number),
    );
    const isRecent = ({ sequence }: DueRow) => sequence >= now - RECENT_US;
    return {
      old: free.filter((row) => !isRecent(row)),
      recent: free.filter(isRecent),
      heldBack: rows.length - free.length,
    };
  }

  async #remove(sql: RetentionSql, old: readonly DueRow[], recent: readonly DueRow[]): Promise<number> {
    let removed = await this.#removeRows(sql, old);
    if (recent.length === 0) return removed;
    const removal = new Removal(
      this.database,
      await this.database.withClient((client) => this.#statements.find(client)),
    );
    const buried = await removal.bury(
      recent.map(({ id, sequence }) => ({ scope: 'checkpoint', key: id, fence: sequence })),
    );
    removed += await this.#removeRows(sql, recent);
    await removal.settle(buried);
    return removed;
  }

  async #removeRows(sql: RetentionSql, rows: readonly DueRow[]): Promise<number> {
    if (rows.length === 0) return 0;
    const { text, values } = sql.remove(rows);
    const remove = async (client: PgClient) => (await queryRows(client, text, values)).length;
    return retryingDeadlocks(() =>
      this.database.withTransaction(remove, { setup: BATCH_LIMITS, timeoutMs: BATCH_TIMEOUT_MS }),
    );
  }

  #query({ text, values }: Statement) {
    return this.database.query(text, values);
  }
}
