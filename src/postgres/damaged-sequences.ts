import type { Database } from './database.js';
import type { GraphTableNames } from './graph-tables.js';
import type { TableNames } from './identifiers.js';

/** A column that holds sequences. */
interface SequenceColumn {
  readonly kind: 'rows' | 'tombstones';
  readonly table: string;
  readonly column: string;
  /** False where another column counts for the same rows. */
  readonly counted: boolean;
}

/** How many rows have a sequence that is too high. */
export interface DamagedRows {
  rows: number;
  tombstones: number;
}

/** The sequences in the tables of a schema: of checkpoints, of LangGraph's checkpointer, and of their tombstones. */
export class StoredSequences {
  readonly #columns: readonly SequenceColumn[];

  constructor(
    private readonly database: Database,
    { checkpoints, ids, tombstones }: TableNames,
    graph: GraphTableNames,
  ) {
    const rows = (table: string, counted = true): SequenceColumn => {
      return { kind: 'rows', table, column: 'write_seq', counted };
    };
    const tombstonesOf = (table: string, column: string, counted = true): SequenceColumn => {
      return { kind: 'tombstones', table, column, counted };
    };
    this.#columns = [
      rows(checkpoints),
      // Of a partitioned table: it has the number of each row once more.
      rows(ids, false),
      tombstonesOf(tombstones, 'fence'),
      tombstonesOf(tombstones, 'rows_up_to', false),
      tombstonesOf(tombstones, 'up_to_clock', false),
      ...[graph.checkpoints, graph.blobs, graph.writes].map((table) => rows(table)),
      tombstonesOf(graph.tombstones, 'fence'),
    ];
  }

  /** About how many rows `count` would read. */
  async size(): Promise<number> {
    const tables = [...new Set(this.#columns.map(({ table }) => table))];
    const [row] = await this.database.query(
      `SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint AS rows
         FROM unnest($1::text[]) AS t (name), pg_partition_tree(to_regclass(t.name)) p JOIN pg_class c ON c.oid = p.relid
        WHERE p.isleaf`,
      [tables],
    );
    return Number(row?.rows);
  }

  /** Reads the tables whole: there is no index. @param highest the highest sequence that is right */
  async count(highest: number): Promise<DamagedRows> {
    return this.#each(({ table, column }) => [
      `SELECT count(*) AS count FROM ${table} WHERE ${column} > $1::bigint`,
      [highest],
    ]);
  }

  /** Gives them this sequence instead, so that whatever is saved from now on is newer. @returns how many there were */
  async mend(highest: number, sequence: number): Promise<DamagedRows> {
    return this.#each(({ table, column }) => [
      `WITH mended AS (UPDATE ${table} SET ${column} = $2::bigint WHERE ${column} > $1::bigint RETURNING 1)
       SELECT count(*) AS count FROM mended`,
      [highest, sequence],
    ]);
  }

  async #each(statement: (column: SequenceColumn) => [text: string, values: number[]]): Promise<DamagedRows> {
    const found: DamagedRows = { rows: 0, tombstones: 0 };
    for (const column of this.#columns) {
      if (!(await this.#exists(column))) continue;
      const [row] = await this.database.query(...statement(column));
      if (column.counted) found[column.kind] += Number(row?.count);
      else found[column.kind] = Math.max(found[column.kind], Number(row?.count));
    }
    return found;
  }

  async #exists({ table, column }: SequenceColumn): Promise<boolean> {
    const [row] = await this.database.query(
      `SELECT count(*) AS count FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = $2 AND NOT attisdropped`,
      [table, column],
    );
    return Number(row?.count) > 0;
  }
}
