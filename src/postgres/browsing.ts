import { goneCondition, POSITION, POSITION_DESC } from './checkpoint-table.js';
import type { TableNames } from './identifiers.js';
import type { TableKind } from './table-statements.js';

/** From the oldest on, or from the newest. */
export type Order = 'asc' | 'desc';

/** SQL for who looks through a checkpoint table. It reads, by indexes, and ships a state only of the one checkpoint that is asked for. */
export interface BrowsingSql {
  /** $1 limit: the executions of the newest rows, each with the newest of its checkpoints, newest first. */
  readonly recent: string;
  /** $1 execution, $2 limit: its checkpoints, with the size of the state as it is stored. */
  readonly timeline: Readonly<Record<Order, string>>;
  /** As `timeline`, behind the checkpoint $3 in that order. */
  readonly timelineAfter: Readonly<Record<Order, string>>;
  /** $1 execution, $2 id: a row if it is there. */
  readonly present: string;
  /** $1 execution, $2 id, $3 most bytes: one checkpoint; `state` and `metadata` are null where `bytes` is more. */
  readonly one: string;
  /** As `one`: the checkpoint before it. */
  readonly previous: string;
}

/** So many of the newest rows tell which executions were saved lately. One that saves all the time may hide older ones. */
const RECENT_ROWS = 1000;

const TIME = 'floor(extract(epoch FROM t.timestamp) * 1000) AS timestamp_ms';
const PLACE = '(t.timestamp, t.version, t.write_seq, t.id COLLATE "C")';
const ANCHOR = '(a.timestamp, a.version, a.write_seq, a.id)';

export function browsingSql(names: TableNames, kind: TableKind): BrowsingSql {
  const { checkpoints } = names;
  // Where ids have a table of their own, it knows the place of each without a look into every partition.
  const anchors = kind === 'partitioned' ? names.ids : checkpoints;
  const gone = goneCondition(names);
  const anchor = (parameter: string) => `
    SELECT a.timestamp, a.version, a.write_seq, a.id FROM ${anchors} a
     WHERE a.id = ${parameter} AND a.execution_id = $1`;
  const line = `t.id, t.node_name, ${TIME}, t.version, pg_column_size(t.state) AS state_bytes`;
  const timeline = (order: string) => `
    SELECT ${line} FROM ${checkpoints} t WHERE t.execution_id = $1 AND NOT ${gone} ORDER BY ${order} LIMIT $2`;
  const timelineAfter = (operator: '<' | '>', order: string) => `
    SELECT t.* FROM (${anchor('$3')}) a CROSS JOIN LATERAL (
      SELECT ${line} FROM ${checkpoints} t
       WHERE t.execution_id = $1 AND ${PLACE} ${operator} ${ANCHOR} AND NOT ${gone} ORDER BY ${order} LIMIT $2) t`;
  // Printed once, and measured before it is sent.
  const whole = (from: string) => `
    SELECT id, execution_id, node_name, timestamp_ms, version, bytes,
        CASE WHEN bytes <= $3::bigint THEN state END AS state, CASE WHEN bytes <= $3::bigint THEN metadata END AS metadata
      FROM (SELECT *, octet_length(state)::bigint + coalesce(octet_length(metadata), 0) AS bytes
              FROM (${from} OFFSET 0) printed) measured`;
  const columns = `t.id, t.execution_id, t.node_name, ${TIME}, t.version, t.state::text AS state, t.metadata::text AS metadata`;
  return {
    recent: `
      SELECT t.execution_id, t.node_name, ${TIME}, t.version
        FROM (SELECT DISTINCT ON (execution_id) newest.* FROM (
                SELECT t.execution_id, t.node_name, t.timestamp, t.version, t.write_seq, t.id
                  FROM ${checkpoints} t WHERE NOT ${gone} ORDER BY t.timestamp DESC LIMIT ${RECENT_ROWS}) newest
               ORDER BY execution_id, ${POSITION_DESC}) t
       ORDER BY t.timestamp DESC, t.execution_id COLLATE "C" LIMIT $1`,
    timeline: { asc: timeline(POSITION), desc: timeline(POSITION_DESC) },
    timelineAfter: { asc: timelineAfter('>', POSITION), desc: timelineAfter('<', POSITION_DESC) },
    present: anchor('$2'),
    one: whole(`
      SELECT ${columns} FROM ${checkpoints} t WHERE t.execution_id = $1 AND t.id = $2 AND NOT ${gone}
         AND t.timestamp = (SELECT a.timestamp FROM ${anchors} a WHERE a.id = $2)`),
    previous: whole(`
      SELECT t.* FROM (${anchor('$2')}) a CROSS JOIN LATERAL (
        SELECT ${columns} FROM ${checkpoints} t
         WHERE t.execution_id = $1 AND ${PLACE} < ${ANCHOR} AND NOT ${gone} ORDER BY ${POSITION_DESC} LIMIT 1) t`),
  };
}
