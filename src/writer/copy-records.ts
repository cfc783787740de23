import { DatabaseError } from '../errors.js';
import type { PgClient } from '../postgres/database.js';
import { asDatabaseError, copyLineOf } from '../postgres/database-errors.js';
import { copyInto } from './copy-binary.js';
import { RecordRefusedError, type WriteRecord } from './sink.js';

/**
 * Copies staged records.
 * @param lines the record of each line
 * @throws RecordRefusedError where PostgreSQL names the line that it refuses; what it throws otherwise
 */
export async function copyRecords(
  client: PgClient,
  sql: string,
  bytes: Buffer,
  lines: readonly WriteRecord[],
): Promise<void> {
  try {
    await copyInto(client, sql, bytes);
  } catch (error) {
    const failure = asDatabaseError(error);
    const line = failure instanceof DatabaseError ? copyLineOf(failure) : undefined;
    const record = line === undefined ? undefined : lines[line - 1];
    throw record ? new RecordRefusedError(record, failure as DatabaseError) : error;
  }
}
