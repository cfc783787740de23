import { InvalidConfigError } from '../errors.js';

/** PostgreSQL cuts identifiers after 63 bytes; the longest suffix that is added to a table name is `_tombstones`. */
const MAX_IDENTIFIER_BYTES = 63;
const LONGEST_SUFFIX = '_tombstones';
/** With our suffixes, these would be names of LangGraph's tables, or of ours beside them. */
const RESERVED = new Set(['checkpoint', 'checkpoint_queue']);
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_$]*$/;

/** Where one family of checkpoint tables lives. The quoted forms go into SQL as they are. */
export interface TableNames {
  readonly schema: string;
  readonly table: string;
  /** `schema.table`, for messages and for telling the tables of two writers apart. */
  readonly label: string;
  readonly quotedSchema: string;
  readonly checkpoints: string;
  readonly tombstones: string;
  readonly migrations: string;
  /** Of a partitioned table: the table that knows each id, and the partition of what has none of its own. */
  readonly ids: string;
  readonly fallback: string;
  /** How the table is partitioned where it is created here; one that is there stays as it is. */
  readonly partitionBy: Period | undefined;
  /** Name of the temporary staging table; it lives in no schema of ours. */
  readonly staging: string;
}

/** What one partition of a table holds, in UTC. */
export const PERIODS = ['month', 'day'] as const;
export type Period = (typeof PERIODS)[number];

/** @throws InvalidConfigError naming `schema`, `table` or `partitionBy`. */
export function tableNames({
  schema = 'public',
  table = 'checkpoints',
  partitionBy,
}: {
  schema?: string;
  table?: string;
  partitionBy?: Period | undefined;
}): TableNames {
  if (partitionBy !== undefined && !PERIODS.includes(partitionBy)) {
    throw new InvalidConfigError('partitionBy', `must be ${PERIODS.join(' or ')}`);
  }
  const quotedSchema = quoted('schema', schema, MAX_IDENTIFIER_BYTES);
  quoted('table', table, MAX_IDENTIFIER_BYTES - LONGEST_SUFFIX.length);
  if (RESERVED.has(table))
    throw new InvalidConfigError('table', "would share tables with LangGraph's checkpointer");
  return Object.freeze({
    schema,
    table,
    label: `${schema}.${table}`,
    quotedSchema,
    checkpoints: `${quotedSchema}."${table}"`,
    tombstones: `${quotedSchema}."${table}_tombstones"`,
    migrations: `${quotedSchema}."${table}_migrations"`,
    ids: `${quotedSchema}."${table}_ids"`,
    fallback: `${quotedSchema}."${table}_default"`,
    partitionBy,
    staging: `"${table}_staging"`,
  });
}

/** @throws InvalidConfigError naming the option, unless letters, digits, `_` and `$` alone */
export function quotedIdentifier(option: string, identifier: unknown): string {
  return quoted(option, identifier, MAX_IDENTIFIER_BYTES);
}

/** @throws InvalidConfigError unless letters, digits, `_` and `$` alone. The value is never repeated. */
function quoted(field: string, identifier: unknown, maxBytes: number): string {
  if (typeof identifier !== 'string' || !IDENTIFIER.test(identifier)) {
    throw new InvalidConfigError(field, 'must be letters, digits, _ and $, not beginning with a digit');
  }
  if (identifier.length > maxBytes)
    throw new InvalidConfigError(field, `has more than ${maxBytes} characters`);
  return `"${identifier}"`;
}
