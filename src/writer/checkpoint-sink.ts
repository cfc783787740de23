import type { QueryResult } from 'pg';
import { STAGING_COLUMNS } from '../postgres/checkpoint-table.js';
import { type Database, type PgClient, queryRows } from '../postgres/database.js';
import type { TableNames } from '../postgres/identifiers.js';
import { forgetDetached, makePartitions } from '../postgres/partitions.js';
import { maintainTombstones } from '../postgres/removal.js';
import type { Safeguards } from '../postgres/safeguards.js';
import { migrate } from '../postgres/schema.js';
import { TableStatements } from '../postgres/table-statements.js';
import { identifyRow, namesOfRow } from './checkpoint-row.js';
import { COPY_FRAME_BYTES, writeBigint, writeHeader, writeSmallint, writeTrailer } from './copy-binary.js';
import { copyRecords } from './copy-records.js';
import type {
  BatchOutcome,
  MaintenanceBounds,
  RecordIdentity,
  Sink,
  StagedRecords,
  WriteRecord,
} from './sink.js';

/** Field count (2), round (4 + 2) and sequence (4 + 8) around a body. */
const BYTES_AROUND_BODY = 2 + 6 + 12;

/** Names the sink of checkpoints in jobs. */
export const CHECKPOINT_SINK = 'checkpoints';

/** Stores checkpoints in the table of `names`. */
export class CheckpointSink implements Sink {
  readonly name = CHECKPOINT_SINK;
  readonly target: string;
  readonly openBatch: string;
  readonly #names: TableNames;
  readonly #statements: TableStatements;

  /** @param safeguards for tests alone */
  constructor(names: TableNames, safeguards?: Safeguards) {
    this.target = names.label;
    this.#names = names;
    this.#statements = new TableStatements(names, safeguards);
    this.openBatch = this.#statements.plain.openBatch;
  }

  async migrate(database: Database): Promise<void> {
    await migrate(database, this.#names);
    this.#statements.lookAgain();
  }

  async maintain(database: Database, bounds: MaintenanceBounds): Promise<void> {
    const sql = await database.withClient((client) => this.#statements.find(client));
    await maintainTombstones(database, sql, bounds);
    await forgetDetached(database, this.#names);
    await makePartitions(database, this.#names);
  }

  check(body: Buffer): void {
    identifyRow(body);
  }

  identify(body: Buffer): RecordIdentity {
    return namesOfRow(body);
  }

  stage(records: readonly WriteRecord[]): StagedRecords {
    const rounds = foldByKey(records);
    const bytes = encodeRounds(rounds);
    return {
      apply: (client) => this.#apply(client, bytes, rounds, records.length),
      applyAnew: (client) => this.#apply(client, bytes, rounds, records.length, true),
      lastLook: (client) => this.#lastLook(client),
    };
  }

  async #apply(
    client: PgClient,
    bytes: Buffer,
    rounds: readonly WriteRecord[][],
    total: number,
    anew = false,
  ): Promise<BatchOutcome> {
    const staged = rounds.flat();
    const sql = await this.#statements.find(client);
    await copyRecords(client, sql.copy, bytes, staged);
    if (anew) await client.query(sql.removeStaged);
    let committed = 0;
    for (const round of rounds.keys()) {
      const result = await client.query(sql.merge, [round]);
      committed += result.rowCount ?? 0;
    }
    let deleted = 0;
    if (committed < staged.length) {
      const [row] = await queryRows(client, sql.countTombstoned);
      deleted = Number(row?.count);
    }
    return { committed, deleted, superseded: total - committed - deleted };
  }

  async #lastLook(client: PgClient): Promise<number> {
    // Two statements, so two results: the lock comes before the snapshot that the look is taken with.
    const { lastLook } = await this.#statements.find(client);
    const [, removed] = (await client.query(lastLook)) as unknown as QueryResult[];
    return removed?.rowCount ?? 0;
  }
}

/**
 * Drops what another record of the same key makes needless, and spreads what stays of a key over rounds, each of which
 * holds a key once (`ON CONFLICT` cannot touch a row twice in one statement); almost always there is one round.
 *
 * A record gives way only to one that is newer in both, version and sequence. By version alone it would be wrong: version 5
 * saved, deleted, then version 1 saved must leave version 1, and the tombstone removes only the sequences up to its fence.
 */
export function foldByKey(records: readonly WriteRecord[]): WriteRecord[][] {
  interface Versioned {
    readonly record: WriteRecord;
    readonly version: number;
  }
  const byKey = new Map<string, Versioned[]>();
  for (const record of records) {
    const { key, version } = identifyRow(record.body);
    const ofKey = byKey.get(key);
    if (ofKey) ofKey.push({ record, version });
    else byKey.set(key, [{ record, version }]);
  }
  const rounds: WriteRecord[][] = [[]];
  for (const ofKey of byKey.values()) {
    // From the newest sequence back, only what has a higher version than all that is newer stays.
    if (ofKey.length > 1) {
      ofKey.sort((a, b) => b.record.sequence - a.record.sequence || b.version - a.version);
    }
    const kept: WriteRecord[] = [];
    let highest = -1;
    for (const { record, version } of ofKey) {
      if (version > highest) kept.push(record);
      highest = Math.max(highest, version);
    }
    // The highest version first: where no tombstone removes it, the others give way to it and write nothing.
    for (const [round, record] of kept.reverse().entries()) {
      rounds[round] ??= [];
      rounds[round].push(record);
    }
  }
  return rounds;
}

function encodeRounds(rounds: WriteRecord[][]): Buffer {
  let size = COPY_FRAME_BYTES;
  for (const round of rounds) for (const { body } of round) size += BYTES_AROUND_BODY + body.length;
  const buffer = Buffer.allocUnsafe(size);
  let offset = writeHeader(buffer);
  for (const [round, records] of rounds.entries()) {
    for (const { body, sequence } of records) {
      offset = buffer.writeInt16BE(STAGING_COLUMNS.length, offset);
      offset = writeSmallint(buffer, offset, round);
      offset += body.copy(buffer, offset);
      offset = writeBigint(buffer, offset, sequence);
    }
  }
  writeTrailer(buffer, offset);
  return buffer;
}
