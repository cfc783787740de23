import { type GraphTableNames, goneRow } from './graph-tables.js';

/** All SQL that reads checkpoints of threads, with what belongs to them. Every value is a parameter. */
export interface GraphReadSql {
  /** $1 thread, $2 namespace. */
  readonly newest: string;
  /** $1 thread, $2 namespace, $3 checkpoint. */
  readonly one: string;
  /**
   * $1 thread, $2 namespace, $3 checkpoint, $4 metadata, $5 checkpoint below which; each may be null and then does not matter.
   * $6 to $8: checkpoint, thread and namespace of the last one seen, or null. $9 limit. Newest first.
   */
  readonly page: string;
  /** $1 thread, $2 checkpoints, $3 channel: what was sent to tasks from them, as releases before checkpoint format 4 kept it. */
  readonly pendingSends: string;
  /** $1 thread, $2 namespace, $3 checkpoint, $4 channels, $5 how many: it and its ancestors, with values and writes of the channels. */
  readonly ancestors: string;
}

/** The order in which a superstep applies its writes: of code points, as "C" compares them. */
const WRITE_ORDER = 'w.task_path COLLATE "C", w.task_id COLLATE "C", w.idx';
// As JSON text: independent of the application's type parsers, and one column for any number of values.
const base64 = (column: string) => `encode(${column}, 'base64')`;

export function graphReadSql(names: GraphTableNames): GraphReadSql {
  const { checkpoints, blobs, writes } = names;
  const gone = goneRow(names);
  const ofCheckpoint = `w.thread_id = t.thread_id AND w.checkpoint_ns = t.checkpoint_ns AND w.checkpoint_id = t.checkpoint_id`;
  const writeList = (condition = '') => `(
      SELECT json_agg(json_build_array(w.task_id, w.channel, w.type, ${base64('w.blob')}) ORDER BY ${WRITE_ORDER})
        FROM ${writes} w WHERE ${ofCheckpoint} ${condition})`;
  const select = `
    SELECT t.thread_id, t.checkpoint_ns, t.checkpoint_id, t.parent_checkpoint_id, t.checkpoint, t.metadata,
      (SELECT json_agg(json_build_array(b.channel, b.type, ${base64('b.blob')}))
        FROM jsonb_each_text(t.checkpoint -> 'channel_versions') v
        JOIN ${blobs} b ON b.thread_id = t.thread_id AND b.checkpoint_ns = t.checkpoint_ns
          AND b.channel = v.key AND b.version = v.value
       WHERE b.type <> 'empty') AS channel_values,
      ${writeList()} AS pending_writes
    FROM ${checkpoints} t WHERE NOT ${gone}`;
  return {
    newest: `${select} AND t.thread_id = $1 AND t.checkpoint_ns = $2 ORDER BY t.checkpoint_id DESC LIMIT 1`,
    one: `${select} AND t.thread_id = $1 AND t.checkpoint_ns = $2 AND t.checkpoint_id = $3`,
    page: `${select}
       AND ($1::text IS NULL OR t.thread_id = $1) AND ($2::text IS NULL OR t.checkpoint_ns = $2)
       AND ($3::text IS NULL OR t.checkpoint_id = $3) AND ($4::jsonb IS NULL OR t.metadata @> $4)
       AND ($5::text IS NULL OR t.checkpoint_id < $5)
       AND ($6::text IS NULL OR (t.checkpoint_id, t.thread_id, t.checkpoint_ns) < ($6, $7, $8))
     ORDER BY t.checkpoint_id DESC, t.thread_id DESC, t.checkpoint_ns DESC LIMIT $9`,
    pendingSends: `
      SELECT w.checkpoint_id, json_agg(json_build_array(w.type, ${base64('w.blob')}) ORDER BY ${WRITE_ORDER}) AS sends
        FROM ${writes} w WHERE w.thread_id = $1 AND w.checkpoint_id = ANY ($2::text[]) AND w.channel = $3
       GROUP BY w.checkpoint_id`,
    ancestors: `
      WITH RECURSIVE t AS (
        SELECT t.thread_id, t.checkpoint_ns, t.checkpoint_id, t.parent_checkpoint_id,
            t.checkpoint -> 'channel_versions' AS versions, 1 AS place
          FROM ${checkpoints} t WHERE t.thread_id = $1 AND t.checkpoint_ns = $2 AND t.checkpoint_id = $3 AND NOT ${gone}
        UNION ALL
        SELECT p.thread_id, p.checkpoint_ns, p.checkpoint_id, p.parent_checkpoint_id,
            p.checkpoint -> 'channel_versions', t.place + 1
          FROM t JOIN ${checkpoints} p ON p.thread_id = $1 AND p.checkpoint_ns = $2 AND p.checkpoint_id = t.parent_checkpoint_id
         WHERE t.place < $5::integer)
      SELECT t.checkpoint_id, t.parent_checkpoint_id,
          (SELECT json_agg(json_build_array(b.channel, b.type, ${base64('b.blob')}))
            FROM ${blobs} b WHERE b.thread_id = t.thread_id AND b.checkpoint_ns = t.checkpoint_ns
             AND b.channel = ANY ($4::text[]) AND b.version = t.versions ->> b.channel AND b.type <> 'empty') AS channel_values,
          ${writeList('AND w.channel = ANY ($4::text[])')} AS pending_writes
        FROM t ORDER BY t.place`,
  };
}
