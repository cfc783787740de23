/**
 * What a failure of PostgreSQL means for the records that were being written, by SQLSTATE and never by message
 * (https://www.postgresql.org/docs/current/errcodes-appendix.html). What is not known to be a record's may be one's all the same:
 * see `blameOf`.
 *
 * - `transient`: the same batch will pass later; retry soon.
 * - `environment`: somebody has to act (disk, privileges, password); hold the batch, retry slowly.
 * - `missing-schema`: the tables, or columns that we add to those of others, are not there, or they are of another kind than they
 *   were; create them or look again, then retry.
 * - `record`: PostgreSQL refuses a value for good; isolate it.
 * - `unknown`: PostgreSQL may refuse a record, or not work as it should.
 */
export type FailureClass = 'transient' | 'environment' | 'missing-schema' | 'record' | 'unknown';

const BY_CODE: Record<string, FailureClass> = {
  '40001': 'transient', // serialization_failure
  '40P01': 'transient', // deadlock_detected
  '55P03': 'transient', // lock_not_available
  '57014': 'transient', // query_canceled
  '57P01': 'transient', // admin_shutdown
  '57P02': 'transient', // crash_shutdown
  '57P03': 'transient', // cannot_connect_now
  '53300': 'transient', // too_many_connections
  '53200': 'transient', // out_of_memory
  '25006': 'transient', // read_only_sql_transaction: a failover is under way
  '25P03': 'transient', // idle_in_transaction_session_timeout
  '53100': 'environment', // disk_full
  '42501': 'environment', // insufficient_privilege
  '3D000': 'environment', // invalid_catalog_name
  '42P01': 'missing-schema', // undefined_table
  '42703': 'missing-schema', // undefined_column
  '42883': 'missing-schema', // undefined_function: that of a partitioned table, which an earlier release made
  '3F000': 'missing-schema', // invalid_schema_name
  '22P04': 'unknown', // bad_copy_file_format: the batch is built wrong, no value is
  // invalid_column_reference: an ON CONFLICT that fits no key; the table is of another kind, plain or partitioned, than it was
  '42P10': 'missing-schema',
  '54000': 'record', // program_limit_exceeded
  '54001': 'record', // statement_too_complex: JSON nested deeper than the stack allows
};

const BY_CLASS: Record<string, FailureClass> = {
  '08': 'transient', // connection exceptions
  '28': 'environment', // invalid authorization
  '22': 'record', // data exceptions
  '23': 'record', // integrity constraint violations
};

/** PostgreSQL's own words for what makes a record a dead letter, where its message may hold a value and is not told. */
const CONDITIONS: Record<string, string> = {
  '0A000': 'feature not supported',
  '21000': 'cardinality violation',
  '22000': 'data exception',
  '22001': 'string data right truncation',
  '22003': 'numeric value out of range',
  '22004': 'null value not allowed',
  '22007': 'invalid datetime format',
  '22008': 'datetime field overflow',
  '22012': 'division by zero',
  '22021': 'character not in repertoire',
  '22023': 'invalid parameter value',
  '22P02': 'invalid text representation',
  '22P03': 'invalid binary representation',
  '22P05': 'untranslatable character',
  '23000': 'integrity constraint violation',
  '23502': 'not null violation',
  '23503': 'foreign key violation',
  '23505': 'unique violation',
  '23514': 'check violation',
  '23P01': 'exclusion violation',
  '42501': 'insufficient privilege',
  '54000': 'program limit exceeded',
  '54001': 'statement too complex',
  P0001: 'raise exception',
  P0002: 'no data found',
  P0003: 'too many rows',
  P0004: 'assert failure',
  XX000: 'internal error',
};

/** What a code means, such as `check violation`; undefined for codes that seldom refuse a record. */
export function conditionOf(sqlState: string): string | undefined {
  return CONDITIONS[sqlState];
}

/** PostgreSQL's functions that find the partition of a row, and check that it fits. */
const PARTITION_ROUTINES = new Set(['ExecFindPartition', 'ExecPartitionCheckEmitError']);

/** Whether the table has no partition for a row, which has the code of a CHECK: that one's name comes with the error. */
export function lacksPartition(origin: unknown): boolean {
  return PARTITION_ROUTINES.has((origin as { routine?: string } | null | undefined)?.routine ?? '');
}

/** Socket errors, which have no SQLSTATE, are transient as well. */
export function classifyFailure(error: { sqlState: string | undefined; cause?: unknown }): FailureClass {
  const { sqlState, cause } = error;
  if (sqlState === undefined) return 'transient';
  if (lacksPartition(cause)) return 'missing-schema';
  return BY_CODE[sqlState] ?? BY_CLASS[sqlState.slice(0, 2)] ?? 'unknown';
}

/** Whether PostgreSQL answers and does not let the role in, or has no such database: it stays so until somebody changes a setting. */
export function refusesLogin(sqlState: string | undefined): boolean {
  return sqlState !== undefined && (sqlState.startsWith('28') || sqlState === '3D000');
}

/** The SQLSTATE of an error that `pg` threw; undefined for errors of Node, whose codes have other forms (`ECONNRESET`). */
export function sqlStateOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  const severity = (error as { severity?: unknown } | null)?.severity;
  return typeof code === 'string' && severity !== undefined && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}
