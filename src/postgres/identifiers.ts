import { InvalidConfigError } from '../errors.js';

/** PostgreSQL cuts identifiers after 63 bytes; the longest suffix that is added to a table name is `_tombstones`. */
const MAX_IDENTIFIER_BYTES = 63;
const LONGEST_SUFFIX = '_tombstones';
/** With our suffixes, these would be names of LangGraph's tables, or of ours beside them. */
const RESERVED = new Set(['checkpoint', 'checkpoint_queue']);
/** Of these letters a name needs no quotes to be told from others. */
const PLAIN = /^[A-Za-z_][A-Za-z0-9_$]*$/;
/** The name of the staging table of a table with another name: PostgreSQL's errors repeat it without quotes. */
const COMMON_STAGING = 'checkpoints_staging';

/** Where one family of checkpoint tables lives. The quoted forms go into SQL as they are. */
export interface TableNames {
  readonly schema: string;
  readonly table: string;
  /**
   * `schema.table`, for messages and for telling the tables of two writers apart; a part that is more than letters, digits, `_` and
   * `$` in quotes.
   */
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
  checkSchema('schema', schema);
  checkIdentifier('table', table, LONGEST_SUFFIX);
  if (RESERVED.has(table))
    throw new InvalidConfigError('table', "would share tables with LangGraph's checkpointer");
  const quotedSchema = quoted(schema);
  const named = (suffix = '') => `${quotedSchema}.${quoted(table + suffix)}`;
  return Object.freeze({
    schema,
    table,
    label: labelOf(schema, table),
    quotedSchema,
    checkpoints: named(),
    tombstones: named('_tombstones'),
    migrations: named('_migrations'),
    ids: named('_ids'),
    fallback: named('_default'),
    partitionBy,
    staging: quoted(PLAIN.test(table) ? `${table}_staging` : COMMON_STAGING),
  });
}

/** @throws InvalidConfigError naming the option, unless it is a name that a schema can have. The value is never repeated. */
export function checkSchema(option: string, schema: unknown): void {
  checkIdentifier(option, schema);
  if (String(schema).startsWith('pg_')) {
    throw new InvalidConfigError(option, 'must not begin with pg_: PostgreSQL keeps such schemas for itself');
  }
}

/**
 * Any text that PostgreSQL can take for a name; it cuts longer ones without an error, and two of them might become one.
 * @param suffix the longest that is added to it
 * @throws InvalidConfigError
 */
function checkIdentifier(field: string, identifier: unknown, suffix = ''): void {
  if (typeof identifier !== 'string' || identifier === '') {
    throw new InvalidConfigError(field, 'must be a string that is not empty');
  }
  if (identifier.includes('\0') || /\p{Surrogate}/u.test(identifier)) {
    throw new InvalidConfigError(field, 'must not hold U+0000 or a lone surrogate');
  }
  const [bytes, limit] = [Buffer.byteLength(identifier), MAX_IDENTIFIER_BYTES - suffix.length];
  if (bytes <= limit) return;
  const why = suffix && `: PostgreSQL cuts names after ${MAX_IDENTIFIER_BYTES}, also <${field}>${suffix}`;
  throw new InvalidConfigError(field, `has ${bytes} bytes; ${limit} is the limit${why}`);
}

/** A name as SQL has it. */
export function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

/** A text as SQL has it, whatever `standard_conforming_strings` says. */
export function literal(text: string): string {
  const quotes = text.replaceAll("'", "''");
  return text.includes('\\') ? ` E'${quotes.replaceAll('\\', '\\\\')}'` : `'${quotes}'`;
}

/** The body of a function, or of a DO, in dollar quotes that it does not hold. */
export function dollarQuoted(body: string): string {
  let tag = '$$';
  for (let number = 1; body.includes(tag); number++) tag = `$body${number}$`;
  return `${tag}${body}${tag}`;
}

/** Two tables never have the same one: a dot stands in no part without quotes. */
export function labelOf(schema: string, table: string): string {
  return labelOfQuoted(`${quoted(schema)}.${quoted(table)}`);
}

/** The label of a table, of its quoted name. */
export function labelOfQuoted(name: string): string {
  return name.replace(/"((?:[^"]|"")+)"/g, (part, inner) => (PLAIN.test(inner) ? inner : part));
}

/** Whether it may be what `labelOf` gives; of an untrusted text. */
export function isLabel(text: string): boolean {
  return text.length <= MAX_LABEL_LENGTH && LABEL.test(text);
}

const PART = /(?:[A-Za-z_][A-Za-z0-9_$]*|"(?:[^"\0]|"")+")/u.source;
const LABEL = new RegExp(`^${PART}\\.${PART}$`, 'u');
/** Two names that are all quotes. */
const MAX_LABEL_LENGTH = 2 * (2 * MAX_IDENTIFIER_BYTES + 2) + 1;
