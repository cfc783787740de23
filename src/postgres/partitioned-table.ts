import {
  assignment,
  type CheckpointTableSql,
  COLUMNS,
  type Column,
  checkpointTableSql,
  GIVEN,
} from './checkpoint-table.js';
import { quoted, type TableNames } from './identifiers.js';
import { SAFEGUARDS } from './safeguards.js';

/** What the table of ids has of each checkpoint: all that decides which save is stored, and where its row is. */
export const ID_COLUMNS = ['id', 'execution_id', 'timestamp', 'version', 'write_seq'] as const;

/**
 * The function that says whether the row to which an id's entry points is there: after TRUNCATE, or when a partition was dropped or
 * detached by hand, it is not, and nothing tells the ids. A function, for it sees what was committed up to its call: to the snapshot
 * of the statement that calls it, the row that another batch has just written would be missing.
 */
export function storedFunction({ quotedSchema, table }: TableNames): string {
  return `${quotedSchema}.${quoted(`${table}_stored`)}`;
}

/**
 * All SQL on a checkpoint table that is partitioned by `timestamp`. A unique key there must hold the timestamp, so an id is
 * unique in a table of its own, which decides, under the lock of the id's row, which save is stored. The checkpoint follows in
 * the same statement, and a trigger of that table takes away the row that an id had at another timestamp, or of an id that is
 * deleted: at the end of the statement, with a snapshot of its own, for that of the statement may be older than the row.
 */
export function partitionedTableSql(names: TableNames, safeguards = SAFEGUARDS): CheckpointTableSql {
  const { checkpoints, ids, staging } = names;
  const columns = COLUMNS.join(', ');
  const columnsOf = (alias: string) => COLUMNS.map((column) => `${alias}.${column}`).join(', ');
  // Whoever comes here has the id's row locked.
  const replace = `ON CONFLICT (id, timestamp) DO UPDATE SET ${assignment(COLUMNS, ['id', 'timestamp'])}`;
  const deciding = checkpointTableSql(names, safeguards, {
    table: ids,
    columns: ID_COLUMNS,
    vacant: `NOT ${storedFunction(names)}(t.id)`,
    follow: `, placed AS (
        INSERT INTO ${checkpoints} (${columns})
        SELECT ${columnsOf('input').replace('input.write_seq', 'stored.write_seq')} FROM input JOIN stored USING (id)
        ${replace})`,
  });
  const given = Object.values(GIVEN satisfies Record<Exclude<Column, 'write_seq'>, string>).join(', ');
  const writeGiven = (decision: string) => `
      WITH decided AS (${decision})
      INSERT INTO ${checkpoints} (${columns}) SELECT ${given}, sequence FROM decided
      ${replace} RETURNING write_seq AS sequence`;
  return {
    ...deciding,
    merge: `
      WITH decided AS (${deciding.merge} RETURNING t.id, t.write_seq)
      INSERT INTO ${checkpoints} (${columns})
      SELECT ${columnsOf('s')} FROM decided JOIN pg_temp.${staging} s USING (id, write_seq) WHERE s.round = $1
      ${replace}`,
    writeFirst: writeGiven(deciding.writeFirst),
    writeSuccessor: writeGiven(deciding.writeSuccessor),
    // The timestamp leads to the one partition that is read.
    load: `${deciding.load} AND t.timestamp = (SELECT k.timestamp FROM ${ids} k WHERE k.id = $1)`,
  };
}
