import {
  type Checkpoint,
  deserializeCheckpoint,
  type SerializedCheckpoint,
  validName,
} from '../checkpoint.js';
import { CheckpointNotFoundError, VersionConflictError } from '../errors.js';
import { Gathered } from '../gathered.js';
import { type CheckpointTableSql, checkpointOfRow, type Scope } from '../postgres/checkpoint-table.js';
import type { Database, PgClient, TextRow } from '../postgres/database.js';
import type { TableNames } from '../postgres/identifiers.js';
import { type DroppedPartitions, dropPartitions } from '../postgres/partitions.js';
import type { ReadQuery, ReadReplica } from '../postgres/read-replica.js';
import { Removal, type RemovalRequest } from '../postgres/removal.js';
import { migrate } from '../postgres/schema.js';
import { TableStatements } from '../postgres/table-statements.js';
import { timestampText } from '../postgres/timestamp-text.js';
import {
  type CommitOutcome,
  type ListOptions,
  newestOfEachId,
  type ReadOptions,
} from './checkpoint-store.js';
import { creatingMissingTables } from './creating-tables.js';
import { outcomeOf, type QueuedSave } from './queued-outcome.js';

/** Deletes that are under way while later ones gather: few enough for a small pool. */
const MAX_REMOVAL_ROUNDS = 4;
/** Comparisons in one save while others keep changing the version back to the expected one; a trigger may suppress writes for good. */
const MAX_COMPARISONS = 5;

/** A version that nothing stored is above: only a delete counts then, for the order of versions is not that of time. */
const HIGHEST = Number.POSITIVE_INFINITY;

/** A checkpoint as it is stored; its sequence is 0 where another program wrote it. */
export interface StoredCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly sequence: number;
}

/** Runs the chosen statement where the read looks. */
type TableQuery = (statement: (sql: CheckpointTableSql) => string, values: unknown[]) => Promise<TextRow[]>;

/** What a direct write came to. */
export interface DirectWrite {
  readonly sequence: number;
  readonly outcome: 'committed' | 'superseded';
}

export interface CheckpointTableOptions {
  /** Makes all later sequences of Redis higher; without it there is no Redis. */
  raiseSequence?: (above: number) => Promise<void>;
  /** Translates the times of deletes without Redis; without it they are compared as they are. */
  clocks?: { get(): Promise<{ readonly offsetUs: number }> };
  /** Where what is committed is read; whoever made it closes it. Default: where all the rest is. */
  replica?: ReadReplica | undefined;
}

/**
 * Reads, direct writes and deletes on one checkpoint table: what the plain store is and what the queued store needs beside
 * its queue. Creates the tables where they are missing.
 *
 * All of it at the primary, but for reads of what is `committed` where there is a replica.
 */
export class CheckpointTable {
  readonly #statements: TableStatements;
  /** The replica is asked itself which kind the table is: its reads need nothing of the primary. */
  readonly #atReplica: TableStatements;
  readonly #removals: Gathered<RemovalRequest, number>;
  readonly #replica: ReadReplica | undefined;
  readonly #clocks: CheckpointTableOptions['clocks'];

  constructor(
    private readonly database: Database,
    private readonly names: TableNames,
    { raiseSequence, clocks, replica }: CheckpointTableOptions = {},
  ) {
    this.#replica = replica;
    this.#clocks = clocks;
    this.#statements = new TableStatements(names);
    this.#atReplica = new TableStatements(names);
    const remove = (requests: RemovalRequest[]) =>
      this.creatingTables(async () =>
        new Removal(database, await this.#sql()).remove(requests, raiseSequence),
      );
    this.#removals = new Gathered(remove, MAX_REMOVAL_ROUNDS);
  }

  /** @throws SchemaMismatchError */
  async migrate(): Promise<void> {
    await migrate(this.database, this.names);
    this.#statements.lookAgain();
    this.#atReplica.lookAgain();
  }

  /** @see dropPartitions */
  dropPartitions(olderThan: Date): Promise<DroppedPartitions> {
    return dropPartitions(this.database, this.names, olderThan);
  }

  async find(id: string, options: ReadOptions = {}): Promise<StoredCheckpoint | undefined> {
    validName('id', id);
    const [row] = await this.#read(options, (query) => query(({ load }) => load, [id]));
    return row && storedCheckpoint(row);
  }

  async latest(executionId: string, options: ReadOptions = {}): Promise<StoredCheckpoint | undefined> {
    validName('executionId', executionId);
    const [row] = await this.#read(options, (query) => query(({ latest }) => latest, [executionId]));
    return row && storedCheckpoint(row);
  }

  /** @throws CheckpointNotFoundError if a checkpoint given as a bound is not stored where the list is read */
  async list(executionId: string, options: ListOptions): Promise<Checkpoint[]> {
    return this.#read(options, (query) => this.#list(query, executionId, options));
  }

  async #list(query: TableQuery, executionId: string, options: ListOptions): Promise<Checkpoint[]> {
    const { limit, before, after } = options;
    const bounds = [before, after].filter((bound) => bound !== undefined);
    const kinds = { before: boundKind(before), after: boundKind(after) };
    const rows = await query(
      (sql) => sql.list(kinds),
      [
        executionId,
        limit ?? null,
        ...bounds.map((bound) => (bound instanceof Date ? timestampText(bound) : bound)),
      ],
    );
    if (rows.length === 0) {
      for (const bound of bounds) {
        if (typeof bound !== 'string') continue;
        const [stored] = await query(({ load }) => load, [bound]);
        if (stored?.execution_id !== executionId) throw new CheckpointNotFoundError(bound);
      }
    }
    return rows.map((row) => deserializeCheckpoint(checkpointOfRow(row)));
  }

  /**
   * Writes in one transaction, with sequences from PostgreSQL's clock that are also above `above`.
   * The results are in the order of the checkpoints.
   */
  async write(checkpoints: readonly SerializedCheckpoint[], above = 0): Promise<DirectWrite[]> {
    const position = new Map(checkpoints.map((checkpoint, index) => [checkpoint, index + 1]));
    const positionOf = (checkpoint: SerializedCheckpoint) => position.get(checkpoint) as number;
    const newest = newestOfEachId(checkpoints);
    const rows = await this.#query(
      ({ upsertNow }) => upsertNow,
      [
        newest.map(({ id }) => id),
        newest.map(({ executionId }) => executionId),
        newest.map(({ nodeName }) => nodeName),
        newest.map(({ state }) => state),
        newest.map(({ metadata }) => metadata),
        newest.map(({ timestamp }) => timestampText(timestamp)),
        newest.map(({ version }) => version),
        newest.map(positionOf),
        above,
      ],
    );
    const rowOf = new Map(rows.map((row) => [row.id, row]));
    const newestOf = new Map(newest.map((checkpoint) => [checkpoint.id, checkpoint]));
    return checkpoints.map((checkpoint) => {
      const row = rowOf.get(checkpoint.id);
      const written = newestOf.get(checkpoint.id) as SerializedCheckpoint;
      const sequence = Number(row?.sequence) + positionOf(checkpoint) - positionOf(written);
      const stored = written === checkpoint && row?.stored === 't';
      return { sequence, outcome: stored ? 'committed' : 'superseded' };
    });
  }

  /**
   * Writes exactly if the stored version is the expected one; nothing stored counts as version 0.
   * @param sequence from Redis; without one, PostgreSQL's clock decides
   * @param above a sequence that is seen already
   * @returns the sequence written: the one given, or a higher one where tombstones or the stored row need that
   * @throws VersionConflictError, and nothing is written
   */
  async compareAndWrite(
    checkpoint: SerializedCheckpoint,
    expectedVersion: number,
    { sequence, above = 0 }: { sequence?: number; above?: number } = {},
  ): Promise<number> {
    const { id, executionId, nodeName, state, metadata, timestamp, version } = checkpoint;
    const columns = [id, executionId, nodeName, state, metadata, timestampText(timestamp), version];
    const values = [...columns, sequence ?? null, above];
    for (let comparison = 1; ; comparison++) {
      const [written] =
        expectedVersion === 0
          ? await this.#query(({ writeFirst }) => writeFirst, values)
          : await this.#query(({ writeSuccessor }) => writeSuccessor, [...values, expectedVersion]);
      if (written) return Number(written.sequence);
      // Asked anew: the snapshot of the first statement may be older than what it gave way to.
      const [stored] = await this.#query((sql) => sql.version, [id]);
      const actualVersion = stored && Number(stored.version);
      if ((actualVersion ?? 0) !== expectedVersion || comparison === MAX_COMPARISONS) {
        throw new VersionConflictError(id, expectedVersion, actualVersion);
      }
    }
  }

  /**
   * Deletes all of a key for good. Waits for the batches in flight, so that none of them commits afterwards. Concurrent ones
   * wait together.
   * @param fence sequence from Redis; without one, PostgreSQL's clock decides
   * @returns the fence: above all that was deleted
   */
  async remove(scope: Scope, key: string, fence?: number): Promise<number> {
    validName(scope === 'checkpoint' ? 'id' : 'executionId', key);
    return this.#removals.ask({ scope, key, fence });
  }

  /**
   * What became of queued saves whose jobs are done, in the order given; `lost` if nothing in PostgreSQL tells. Where the version
   * is not known, any other row of the id that is stored counts as newer.
   */
  async outcomes(saves: readonly QueuedSave[]): Promise<(CommitOutcome | 'lost')[]> {
    const rows = await this.#query(
      ({ fates }) => fates,
      [saves.map(({ id }) => id), saves.map(({ executionId }) => executionId)],
    );
    const byClock = rows.some(({ up_to_clock }) => up_to_clock !== null);
    const offsetUs = byClock ? ((await this.#clocks?.get())?.offsetUs ?? 0) : 0;
    return saves.map((save, index) => outcomeOf(save, rows[index], offsetUs));
  }

  /** Of each record, whether a delete since then covers it. */
  async deleted(
    records: ReadonlyArray<{ id: string; executionId: string; sequence: number }>,
  ): Promise<boolean[]> {
    const outcomes = await this.outcomes(records.map((record) => ({ ...record, version: HIGHEST })));
    return outcomes.map((outcome) => outcome === 'deleted');
  }

  /** PostgreSQL's own estimate, so that asking costs nothing on a large table; undefined while it has no statistics of the table. */
  async estimatedRows(): Promise<number | undefined> {
    const { estimateRows } = await this.#sql();
    const [row] = await this.database.query(estimateRows);
    if (!row) return 0;
    return row.rows == null ? undefined : Number(row.rows);
  }

  async #read<T>(
    { consistency, atPrimary: primaryOnly }: ReadOptions,
    read: (query: TableQuery) => Promise<T>,
  ): Promise<T> {
    const atPrimary = () => read((statement, values) => this.#query(statement, values));
    if (!this.#replica || primaryOnly || consistency === 'latest') return atPrimary();
    const atReplica = async (query: ReadQuery, client: PgClient) => {
      const sql = await this.#atReplica.find(client);
      return read((statement, values) => query(statement(sql), values));
    };
    return this.#replica.read(atReplica, atPrimary);
  }

  #query(statement: (sql: CheckpointTableSql) => string, values: unknown[]): Promise<TextRow[]> {
    const chosen = async (client: PgClient) => statement(await this.#statements.find(client));
    return this.creatingTables(() => this.database.query(chosen, values));
  }

  #sql(): Promise<CheckpointTableSql> {
    return this.database.withClient((client) => this.#statements.find(client));
  }

  /** Runs the work; where the tables are missing, creates them and runs it again. */
  creatingTables<T>(work: () => Promise<T>): Promise<T> {
    return creatingMissingTables(work, () => this.migrate());
  }
}

function storedCheckpoint(row: TextRow): StoredCheckpoint {
  return { checkpoint: deserializeCheckpoint(checkpointOfRow(row)), sequence: Number(row.sequence) };
}

function boundKind(bound: Date | string | undefined): 'time' | 'id' | undefined {
  if (bound === undefined) return undefined;
  return bound instanceof Date ? 'time' : 'id';
}
