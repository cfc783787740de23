import type { QueryResult } from 'pg';
import { checkOptions, type KnownKeys } from '../known-keys.js';
import { type Database, type PgClient, queryRows } from '../postgres/database.js';
import { migrateGraphTables } from '../postgres/graph-schema.js';
import {
  GRAPH_STAGING_COLUMNS,
  type GraphTableNames,
  type GraphTableSql,
  graphTableNames,
  graphTableSql,
} from '../postgres/graph-tables.js';
import { maintainTombstones } from '../postgres/removal.js';
import type { Safeguards } from '../postgres/safeguards.js';
import { COPY_FRAME_BYTES, writeBigint, writeHeader, writeTrailer } from '../writer/copy-binary.js';
import { copyRecords } from '../writer/copy-records.js';
import type {
  BatchOutcome,
  MaintenanceBounds,
  RecordIdentity,
  Sink,
  StagedRecords,
  WriteRecord,
} from '../writer/sink.js';
import { checkBody, eachRow, identifyBody } from './graph-body.js';

/** Names the sink of LangGraph's tables in jobs. */
export const GRAPH_SINK = 'langgraph';

/** Field count (2) before a row, its sequence (4 + 8) behind it. */
const BYTES_AROUND_ROW = 2 + 12;

export interface LangGraphSinkOptions {
  /** Where the tables are: the `schema` of the savers whose puts the writer commits. Default `langgraph`. */
  schema?: string | undefined;
}

const OPTIONS = { schema: true } satisfies KnownKeys<LangGraphSinkOptions>;

/**
 * The sink of LangGraph's tables, for the option `sinks` of `CheckpointWriter`: the writer then commits what `QueuedPostgresSaver`
 * puts into the writer's queue. `ckpt worker` always has it. The tables are created when the first record for them arrives.
 * @throws InvalidConfigError naming `options` or `schema`
 */
export function langGraphSink(options: LangGraphSinkOptions = {}): Sink {
  checkOptions(options, OPTIONS, 'langGraphSink');
  return new GraphSink(graphTableNames(options.schema));
}

/** Stores what `QueuedPostgresSaver` puts, in the tables of LangGraph's PostgresSaver. */
export class GraphSink implements Sink {
  readonly name = GRAPH_SINK;
  readonly target: string;
  readonly openBatch: string;
  readonly createdOnDemand = true;
  readonly #names: GraphTableNames;
  readonly #sql: GraphTableSql;

  /** @param safeguards for tests alone */
  constructor(names: GraphTableNames, safeguards?: Safeguards) {
    this.target = names.label;
    this.#names = names;
    this.#sql = graphTableSql(names, safeguards);
    this.openBatch = this.#sql.openBatch;
  }

  migrate(database: Database): Promise<void> {
    return migrateGraphTables(database, this.#names);
  }

  async maintain(database: Database, bounds: MaintenanceBounds): Promise<void> {
    const [row] = await database.query('SELECT to_regclass($1) IS NOT NULL AS found', [
      this.#names.tombstones,
    ]);
    if (row?.found === 't') await maintainTombstones(database, this.#sql, bounds);
  }

  check(body: Buffer): void {
    checkBody(body);
  }

  identify(body: Buffer): RecordIdentity {
    return identifyBody(body);
  }

  stage(records: readonly WriteRecord[]): StagedRecords {
    const { bytes, lines } = encode(records);
    return {
      apply: (client) => this.#apply(client, bytes, lines, records.length),
      applyAnew: (client) => this.#apply(client, bytes, lines, records.length, true),
      lastLook: (client) => this.#lastLook(client),
    };
  }

  async #apply(
    client: PgClient,
    bytes: Buffer,
    lines: readonly WriteRecord[],
    total: number,
    anew = false,
  ): Promise<BatchOutcome> {
    await copyRecords(client, this.#sql.copy, bytes, lines);
    if (anew) await client.query(this.#sql.removeStaged);
    const committed = await countOf(client, this.#sql.merge);
    const deleted = committed < total ? await countOf(client, this.#sql.countTombstoned) : 0;
    return { committed, deleted, superseded: total - committed - deleted };
  }

  async #lastLook(client: PgClient): Promise<number> {
    // Two statements, so two results: the lock comes before the snapshot that the look is taken with.
    const [, counted] = (await client.query(this.#sql.lastLook)) as unknown as QueryResult<{
      count: unknown;
    }>[];
    return Number(counted?.rows[0]?.count ?? 0);
  }
}

async function countOf(client: PgClient, sql: string): Promise<number> {
  const [row] = await queryRows(client, sql);
  return Number(row?.count);
}

/** The bytes of the COPY, and the record of each of its lines. */
function encode(records: readonly WriteRecord[]): { bytes: Buffer; lines: WriteRecord[] } {
  const lines: WriteRecord[] = [];
  let size = COPY_FRAME_BYTES;
  for (const record of records) {
    eachRow(record.body, (start, end) => {
      lines.push(record);
      size += BYTES_AROUND_ROW + end - start;
    });
  }
  const bytes = Buffer.allocUnsafe(size);
  let offset = writeHeader(bytes);
  for (const { body, sequence } of records) {
    eachRow(body, (start, end) => {
      offset = bytes.writeInt16BE(GRAPH_STAGING_COLUMNS.length, offset);
      offset += body.copy(bytes, offset, start, end);
      offset = writeBigint(bytes, offset, sequence);
    });
  }
  writeTrailer(bytes, offset);
  return { bytes, lines };
}
