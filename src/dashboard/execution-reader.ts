import { type Checkpoint, deserializeCheckpoint, validName } from '../checkpoint.js';
import { CheckpointNotFoundError, DatabaseError } from '../errors.js';
import { type BrowsingSql, browsingSql, type Order } from '../postgres/browsing.js';
import { checkpointOfRow } from '../postgres/checkpoint-table.js';
import { type Database, queryRows, type TextRow } from '../postgres/database.js';
import type { TableNames } from '../postgres/identifiers.js';
import { tableKind } from '../postgres/table-statements.js';
import { RequestError } from './answers.js';

/** An execution, by the newest of its checkpoints. */
export interface RecentExecution {
  readonly executionId: string;
  readonly nodeName: string;
  readonly timestamp: Date;
  readonly version: number;
}

/** A checkpoint without what it holds. */
export interface TimelineEntry {
  readonly id: string;
  readonly nodeName: string;
  readonly timestamp: Date;
  readonly version: number;
  /** Of the state as PostgreSQL stores it, compressed. */
  readonly stateBytes: number;
}

/** A checkpoint and the one before it of its execution. */
export interface Neighbours {
  readonly checkpoint: Checkpoint;
  readonly previous: Checkpoint | undefined;
}

/** Of a state and its metadata as JSON text: parsing and comparing more would hold up the process. */
const MAX_SHOWN_BYTES = 4 * 1024 * 1024;
/** A statement that takes longer does more harm than good. */
const STATEMENT_TIMEOUT_MS = 4000;
const TRANSACTION_TIMEOUT_MS = 8000;
const UNDEFINED_TABLE = '42P01';

/**
 * Looks through the checkpoint table, beside the writers: in transactions that can write nothing, with a limit of time on each
 * statement that also holds behind a pooler. What is there is read; nothing is created. All throw DatabaseError.
 */
export class ExecutionReader {
  constructor(
    private readonly database: Database,
    private readonly names: TableNames,
  ) {}

  /** Those saved last, by the timestamps of their checkpoints. None where there are no tables yet. */
  async recent(limit: number): Promise<RecentExecution[]> {
    const rows = await emptyWithoutTable(this.#read((sql) => sql.recent, [limit]));
    return rows.map((row) => ({ executionId: row.execution_id as string, ...common(row) }));
  }

  /**
   * A page of an execution's checkpoints.
   * @param after the id of the last one seen, in the same order
   * @throws InvalidCheckpointError naming the field; CheckpointNotFoundError if `after` is not there any more
   */
  async timeline(
    executionId: string,
    { limit, order, after }: { limit: number; order: Order; after: string | undefined },
  ): Promise<TimelineEntry[]> {
    validName('executionId', executionId);
    if (after === undefined) {
      const first = this.#read(({ timeline }) => timeline[order], [executionId, limit]);
      return (await emptyWithoutTable(first)).map(entryOf);
    }
    validName('after', after);
    const rows = await this.#read(({ timelineAfter }) => timelineAfter[order], [executionId, limit, after]);
    if (rows.length === 0) {
      const [anchor] = await this.#read(({ present }) => present, [executionId, after]);
      if (!anchor) throw new CheckpointNotFoundError(after);
    }
    return rows.map(entryOf);
  }

  /** @throws InvalidCheckpointError naming the field; CheckpointNotFoundError; RequestError if it is too large to be shown */
  async neighbours(executionId: string, id: string): Promise<Neighbours> {
    validName('executionId', executionId);
    validName('id', id);
    const values = [executionId, id, MAX_SHOWN_BYTES];
    const [row] = await emptyWithoutTable(this.#read(({ one }) => one, values));
    if (!row) throw new CheckpointNotFoundError(id);
    const [before] = await this.#read(({ previous }) => previous, values);
    return { checkpoint: checkpointOf(row), previous: before && checkpointOf(before) };
  }

  #read(statement: (sql: BrowsingSql) => string, values: unknown[]): Promise<TextRow[]> {
    return this.database.withTransaction(
      async (client) => {
        const kind = (await tableKind(client, this.names)) ?? 'plain';
        return queryRows(client, statement(browsingSql(this.names, kind)), values);
      },
      {
        setup: `SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = ${STATEMENT_TIMEOUT_MS}`,
        timeoutMs: TRANSACTION_TIMEOUT_MS,
      },
    );
  }
}

async function emptyWithoutTable(rows: Promise<TextRow[]>): Promise<TextRow[]> {
  try {
    return await rows;
  } catch (error) {
    if (error instanceof DatabaseError && error.sqlState === UNDEFINED_TABLE) return [];
    throw error;
  }
}

function common(row: TextRow): { nodeName: string; timestamp: Date; version: number } {
  return {
    nodeName: row.node_name as string,
    timestamp: new Date(Number(row.timestamp_ms)),
    version: Number(row.version),
  };
}

function entryOf(row: TextRow): TimelineEntry {
  return { id: row.id as string, ...common(row), stateBytes: Number(row.state_bytes) };
}

function checkpointOf(row: TextRow): Checkpoint {
  if (row.state === null) {
    throw new RequestError(
      413,
      'STATE_TOO_LARGE',
      `Checkpoint ${JSON.stringify(row.id)} has ${row.bytes} bytes; more than ${MAX_SHOWN_BYTES} are not shown here (ckpt load)`,
    );
  }
  return deserializeCheckpoint(checkpointOfRow(row));
}
