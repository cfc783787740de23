import { type CheckpointTableSql, checkpointTableSql } from './checkpoint-table.js';
import { type PgClient, queryRows } from './database.js';
import type { TableNames } from './identifiers.js';
import { partitionedTableSql } from './partitioned-table.js';
import type { Safeguards } from './safeguards.js';

export type TableKind = 'plain' | 'partitioned';

/** Undefined if there is no such table. */
export async function tableKind(
  client: PgClient,
  { checkpoints }: TableNames,
): Promise<TableKind | undefined> {
  const [row] = await queryRows(client, 'SELECT relkind FROM pg_class WHERE oid = to_regclass($1)', [
    checkpoints,
  ]);
  return row && (row.relkind === 'p' ? 'partitioned' : 'plain');
}

/** The statements for a checkpoint table as it is. What is found is remembered until it is told to look again. */
export class TableStatements {
  readonly plain: CheckpointTableSql;
  readonly #names: TableNames;
  readonly #safeguards: Safeguards | undefined;
  #found: CheckpointTableSql | undefined;

  /** @param safeguards for tests alone */
  constructor(names: TableNames, safeguards?: Safeguards) {
    this.#names = names;
    this.#safeguards = safeguards;
    this.plain = checkpointTableSql(names, safeguards);
  }

  async find(client: PgClient): Promise<CheckpointTableSql> {
    if (this.#found) return this.#found;
    const kind = await tableKind(client, this.#names);
    const statements =
      kind === 'partitioned' ? partitionedTableSql(this.#names, this.#safeguards) : this.plain;
    if (kind) this.#found = statements;
    return statements;
  }

  /** The table may be another one now. */
  lookAgain(): void {
    this.#found = undefined;
  }
}
