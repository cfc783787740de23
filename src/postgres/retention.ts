import { goneCondition, POSITION, POSITION_DESC } from './checkpoint-table.js';
import type { TableNames } from './identifiers.js';

/** What makes a checkpoint old enough to go; all that is given must hold. */
export interface PruneCriteria {
  /** Not among the newest so many of its execution, in the order of a list. */
  readonly keepLast?: number | undefined;
  /** Its timestamp is before this one, as PostgreSQL reads it. */
  readonly before?: string | undefined;
}

/** Where a checkpoint stands in its execution, and which of its states was seen. */
export interface DueRow {
  readonly id: string;
  readonly executionId: string;
  /** To the microsecond, for other programs may write more than milliseconds. */
  readonly timestamp: string;
  readonly version: number;
  readonly sequence: number;
}

export interface Statement {
  readonly text: string;
  readonly values: unknown[];
}

/**
 * The statements that find and remove what is old. Each one is short and looks at a bounded part of the table: executions are
 * found by jumping from one to the next in the index, and of each only what is due is read.
 */
export class RetentionSql {
  readonly #names: TableNames;
  readonly #criteria: PruneCriteria;

  constructor(names: TableNames, criteria: PruneCriteria) {
    this.#names = names;
    this.#criteria = criteria;
  }

  /**
   * The next executions behind this one, undefined for the first ones, and how many rows of each are due, `most` at most.
   * @param limit of executions
   */
  survey(after: string | undefined, limit: number, most: number): Statement {
    const { checkpoints } = this.#names;
    const values: unknown[] = [after ?? '', limit, most];
    const { unsettled, kept, due } = this.#due(values);
    const next = (condition: string) =>
      `SELECT execution_id FROM ${checkpoints} WHERE execution_id ${condition} ORDER BY execution_id LIMIT 1`;
    return {
      text: `
        WITH RECURSIVE ${unsettled},
          executions AS (
            (${next(after === undefined ? '>= $1' : '> $1')})
            UNION ALL
            SELECT (${next('> e.execution_id')}) FROM executions e WHERE e.execution_id IS NOT NULL),
          page AS MATERIALIZED (
            SELECT execution_id FROM executions WHERE execution_id IS NOT NULL LIMIT $2)
        SELECT e.execution_id, d.due FROM page e ${kept}
         CROSS JOIN LATERAL (
           SELECT count(*) AS due FROM (SELECT FROM ${checkpoints} t WHERE ${due} LIMIT $3) t) d
         ORDER BY e.execution_id`,
      values,
    };
  }

  /** What is due of these executions, the oldest first, `limit` of each at most. @param after where to go on in all of them */
  due(executionIds: readonly string[], limit: number, after?: DueRow): Statement {
    const { checkpoints } = this.#names;
    const values: unknown[] = [executionIds, limit];
    const { unsettled, kept, due } = this.#due(values, after);
    return {
      text: `
        WITH ${unsettled}
        SELECT d.id, d.execution_id, d.write_seq, d.version, to_json(d.timestamp) #>> '{}' AS timestamp
          FROM unnest($1::text[]) AS e (execution_id) ${kept}
         CROSS JOIN LATERAL (
           SELECT t.id, t.execution_id, t.write_seq, t.version, t.timestamp FROM ${checkpoints} t
            WHERE ${due} ORDER BY ${qualified('t', POSITION)} LIMIT $2) d`,
      values,
    };
  }

  /**
   * Removes those of the rows that are as they were seen. What a batch, or another prune, has locked is left to it, and rows are
   * locked in the order in which batches lock them: nobody waits for a lock of another one for more than this statement.
   */
  remove(rows: readonly DueRow[]): Statement {
    const { checkpoints } = this.#names;
    return {
      text: `
        DELETE FROM ${checkpoints} WHERE id = ANY (ARRAY(
          SELECT t.id FROM ${checkpoints} t
            JOIN unnest($1::text[], $2::timestamptz[], $3::integer[], $4::bigint[])
              AS d (id, timestamp, version, write_seq)
              ON t.id = d.id AND t.timestamp = d.timestamp AND t.version = d.version AND t.write_seq = d.write_seq
           ORDER BY t.id COLLATE "C" FOR UPDATE OF t SKIP LOCKED)) RETURNING 1`,
      values: [
        rows.map(({ id }) => id),
        rows.map(({ timestamp }) => timestamp),
        rows.map(({ version }) => version),
        rows.map(({ sequence }) => sequence),
      ],
    };
  }

  /**
   * What tells the due rows `t` of an execution `e`; adds its parameters to the values. Bounds name the execution as well, so that
   * the index by execution is searched by them: that by time would find the old rows of all executions, for each one. And each
   * query has one table, so that the index gives its order and it ends at its limit.
   */
  #due(values: unknown[], after?: DueRow): { unsettled: string; kept: string; due: string } {
    const { checkpoints, tombstones } = this.#names;
    const { keepLast, before } = this.#criteria;
    const there = `NOT ${goneCondition({ tombstones: 'unsettled' })}`;
    const parameter = (value: unknown) => `$${values.push(value)}`;
    const conditions = ['t.execution_id = e.execution_id', there];
    if (before !== undefined) {
      conditions.push(`(t.execution_id, t.timestamp) < (e.execution_id, ${parameter(before)}::timestamptz)`);
    }
    if (after) {
      const [timestamp, version] = [parameter(after.timestamp), parameter(after.version)];
      conditions.push(
        `(t.execution_id, t.timestamp, t.version) >= (e.execution_id, ${timestamp}::timestamptz, ${version}::integer)`,
        `(${qualified('t', POSITION)}) > (${timestamp}::timestamptz, ${version}::integer,
          ${parameter(after.sequence)}::bigint, ${parameter(after.id)}::text COLLATE "C")`,
      );
    }
    let kept = '';
    if (keepLast !== undefined) {
      // The oldest of the newest so many; of an execution that has fewer there is none, and so nothing is due.
      kept = `
        LEFT JOIN LATERAL (
          SELECT ${POSITION} FROM ${checkpoints} t WHERE t.execution_id = e.execution_id AND ${there}
           ORDER BY ${POSITION_DESC} OFFSET ${parameter(keepLast - 1)}::bigint LIMIT 1) kept ON true`;
      conditions.push(
        '(t.execution_id, t.timestamp, t.version) <= (e.execution_id, kept.timestamp, kept.version)',
        `(${qualified('t', POSITION)}) < (${qualified('kept', POSITION)})`,
      );
    }
    return {
      unsettled: `unsettled AS MATERIALIZED (SELECT * FROM ${tombstones} WHERE NOT settled ORDER BY created_at)`,
      kept,
      due: conditions.join(' AND '),
    };
  }
}

function qualified(alias: string, columns: string): string {
  return columns.replaceAll(/\b(timestamp|version|write_seq|id)\b/g, `${alias}.$1`);
}
