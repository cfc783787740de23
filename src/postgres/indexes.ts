import type { Database, TextRow } from './database.js';
import { quoted, type TableNames } from './identifiers.js';
import type { TableKind } from './table-statements.js';

/** An index that the schema changes make, and without which something becomes slow or wrong. */
export interface ExpectedIndex {
  readonly name: string;
  readonly columns: readonly string[];
  readonly unique: boolean;
  readonly partial: boolean;
  /** Makes it again beside running writers. */
  readonly create: string;
}

/** An index as it is. */
export interface FoundIndex {
  readonly name: string;
  /** Columns by name; those of an expression are left out. */
  readonly columns: readonly string[];
  readonly unique: boolean;
  readonly partial: boolean;
  /** False where its creation was broken off: it costs writes and serves nobody. */
  readonly valid: boolean;
  /** Scans since the statistics were reset. */
  readonly scans: number;
  readonly bytes: number;
}

/** The indexes of the checkpoint table and of those beside it, by table, as the schema changes make them. */
export function expectedIndexes(
  names: TableNames,
  kind: TableKind = 'plain',
): ReadonlyMap<string, readonly ExpectedIndex[]> {
  const { table, checkpoints, ids, tombstones } = names;
  const partitioned = kind === 'partitioned';
  const key = (name: string, on: string, columns: string[]): ExpectedIndex => ({
    name,
    columns,
    unique: true,
    partial: false,
    create: `ALTER TABLE ${on} ADD PRIMARY KEY (${columns.join(', ')})`,
  });
  const index = (name: string, on: string, columns: string[], where?: string): ExpectedIndex => {
    // Of a partitioned table none is made concurrently.
    const create = partitioned && on === checkpoints ? 'CREATE INDEX' : 'CREATE INDEX CONCURRENTLY';
    return {
      name,
      columns,
      unique: false,
      partial: where !== undefined,
      create: `${create} ${quoted(name)} ON ${on} (${columns.join(', ')})${where ? ` WHERE ${where}` : ''}`,
    };
  };
  return new Map([
    [
      checkpoints,
      [
        key(`${table}_pkey`, checkpoints, partitioned ? ['id', 'timestamp'] : ['id']),
        index(`idx_${table}_execution_id`, checkpoints, ['execution_id', 'timestamp', 'version']),
        index(`idx_${table}_timestamp`, checkpoints, ['timestamp']),
      ],
    ],
    ...(partitioned
      ? ([
          [ids, [key(`${table}_ids_pkey`, ids, ['id']), index(`idx_${table}_ids`, ids, ['execution_id'])]],
        ] as const)
      : []),
    [
      tombstones,
      [
        key(`${table}_tombstones_pkey`, tombstones, ['scope', 'key']),
        index(`idx_${table}_due`, tombstones, ['created_at'], 'NOT settled'),
        index(`idx_${table}_age`, tombstones, ['created_at']),
        index(`idx_${table}_xid`, tombstones, ['xid']),
        index(`idx_${table}_clk`, tombstones, ['up_to_clock'], 'up_to_clock IS NOT NULL'),
      ],
    ],
  ]);
}

const INDEXES_OF = `
  SELECT c.relname AS name, i.indisunique AS unique, i.indpred IS NOT NULL AS partial, i.indisvalid AS valid,
    coalesce(s.idx_scan, 0) AS scans, pg_relation_size(i.indexrelid) AS bytes,
    (SELECT string_agg(a.attname, ',' ORDER BY k.position)
       FROM unnest(i.indkey) WITH ORDINALITY AS k(attnum, position)
       JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
      WHERE k.position <= i.indnkeyatts) AS columns
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  LEFT JOIN pg_stat_user_indexes s ON s.indexrelid = i.indexrelid
  WHERE i.indrelid = to_regclass($1)
  ORDER BY c.relname`;

/** @param table quoted, with its schema */
export async function indexesOf(database: Database, table: string): Promise<FoundIndex[]> {
  return (await database.query(INDEXES_OF, [table])).map(foundIndex);
}

function foundIndex({ name, columns, unique, partial, valid, scans, bytes }: TextRow): FoundIndex {
  return {
    name: name as string,
    columns: columns?.split(',') ?? [],
    unique: unique === 't',
    partial: partial === 't',
    valid: valid === 't',
    scans: Number(scans),
    bytes: Number(bytes),
  };
}

/** Whether it does the work of the expected one, whatever its name. */
export function serves(found: FoundIndex, expected: ExpectedIndex): boolean {
  return (
    found.valid &&
    found.columns.join() === expected.columns.join() &&
    found.partial === expected.partial &&
    (found.unique || !expected.unique)
  );
}
