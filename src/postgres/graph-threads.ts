import { type GraphTableNames, goneRow, graphTableSql } from './graph-tables.js';

/** All SQL that looks at, prunes and copies threads as a whole. Every value is a parameter. */
export interface GraphThreadsSql {
  /** $1 thread id behind which, or null, $2 limit. By index: one step down the primary key for each thread. */
  readonly list: string;
  /** $1 thread, $2 newest to keep of a namespace, or null, $3 age in milliseconds, or null, $4 whether to delete. Returns how many. */
  readonly prune: string;
  /** $1 from, $2 to, $3 sequence. Returns how many checkpoints. */
  readonly copy: string;
  /** $1 thread: whether anything of it is stored. */
  readonly exists: string;
  /** $1 thread, $2 sequence. Two statements in one transaction: the lock of a batch, then whether a tombstone covers it. */
  readonly lockBatch: string;
  readonly isBuried: string;
}

export function graphThreadsSql(names: GraphTableNames): GraphThreadsSql {
  const { checkpoints, blobs, writes } = names;
  const { lockBatch, isBuried } = graphTableSql(names);
  const gone = goneRow(names);
  const next = (condition: string) => `(
    SELECT t.thread_id FROM ${checkpoints} t WHERE ${condition} AND NOT ${gone} ORDER BY t.thread_id LIMIT 1)`;
  return {
    lockBatch,
    isBuried,
    list: `
      WITH RECURSIVE found AS (
        SELECT ${next('($1::text IS NULL OR t.thread_id > $1)')} AS thread_id, 1 AS place
        UNION ALL
        SELECT ${next('t.thread_id > found.thread_id')}, found.place + 1
          FROM found WHERE found.thread_id IS NOT NULL AND found.place < $2::integer)
      SELECT found.thread_id, newest.checkpoint_id, newest.checkpoint ->> 'ts' AS ts
        FROM found LEFT JOIN LATERAL (
          SELECT t.checkpoint_id, t.checkpoint FROM ${checkpoints} t
           WHERE t.thread_id = found.thread_id AND t.checkpoint_ns = '' AND NOT ${gone}
           ORDER BY t.checkpoint_id DESC LIMIT 1) newest ON true
       WHERE found.thread_id IS NOT NULL ORDER BY found.place`,
    // The namespace of one run of a subgraph holds the id of its task, after a colon: such checkpoints are kept as long as the
    // root's that they belong to. A namespace without one, as the root's, goes on from run to run.
    prune: `
      WITH RECURSIVE ranked AS MATERIALIZED (
        SELECT t.checkpoint_ns, t.checkpoint_id, t.parent_checkpoint_id,
            t.checkpoint -> 'channel_versions' AS versions,
            t.metadata -> 'counters_since_delta_snapshot' AS deltas,
            CASE jsonb_typeof(t.checkpoint -> 'v') WHEN 'number' THEN (t.checkpoint ->> 'v')::numeric < 4 ELSE false END AS old,
            coalesce(t.metadata -> 'parents' ->> '', t.checkpoint_id) AS root_id,
            position(':' IN t.checkpoint_ns) > 0 AS of_one_run,
            row_number() OVER (PARTITION BY t.checkpoint_ns ORDER BY t.checkpoint_id DESC) AS place,
            CASE WHEN t.checkpoint ->> 'ts' ~ '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d' THEN (t.checkpoint ->> 'ts')::timestamptz END AS ts
          FROM ${checkpoints} t WHERE t.thread_id = $1 AND NOT ${gone}),
      due AS MATERIALIZED (
        SELECT r.*, ($2::integer IS NULL OR of_one_run OR place > $2)
            AND ($3::bigint IS NULL OR ts < now() - $3 * interval '1 millisecond') AS due
          FROM ranked r),
      oldest AS (SELECT min(checkpoint_id) AS id FROM due WHERE checkpoint_ns = '' AND NOT coalesce(due, false)),
      kept AS (
        SELECT checkpoint_ns, checkpoint_id, parent_checkpoint_id, versions, deltas, old FROM due, oldest
         WHERE NOT coalesce(due, false) OR of_one_run AND root_id >= oldest.id),
      -- What a checkpoint of an older format was sent stands in the writes of its parent.
      -- A channel that is stored as differences is rebuilt from its ancestors, back to the nearest one that has its whole value.
      needed AS (
        SELECT k.checkpoint_ns, k.checkpoint_id, k.parent_checkpoint_id, ${openChannels(
          names,
          "ARRAY(SELECT jsonb_object_keys(CASE jsonb_typeof(k.deltas) WHEN 'object' THEN k.deltas END))",
          'k',
        )} AS open, k.old AS sent_by_parent FROM kept k
        UNION
        SELECT a.checkpoint_ns, a.checkpoint_id, a.parent_checkpoint_id, ${openChannels(names, 'n.open', 'a')}, false
          FROM needed n JOIN ranked a ON a.checkpoint_ns = n.checkpoint_ns AND a.checkpoint_id = n.parent_checkpoint_id
         WHERE cardinality(n.open) > 0 OR n.sent_by_parent),
      pruned AS MATERIALIZED (
        SELECT checkpoint_ns, checkpoint_id FROM ranked
        EXCEPT SELECT checkpoint_ns, checkpoint_id FROM needed),
      used AS MATERIALIZED (
        SELECT DISTINCT r.checkpoint_ns, v.key AS channel, v.value AS version
          FROM ranked r CROSS JOIN LATERAL jsonb_each_text(r.versions) v
         WHERE (r.checkpoint_ns, r.checkpoint_id) NOT IN (SELECT checkpoint_ns, checkpoint_id FROM pruned)),
      without_checkpoint AS (
        DELETE FROM ${checkpoints} t USING pruned p
         WHERE $4::boolean AND t.thread_id = $1 AND t.checkpoint_ns = p.checkpoint_ns AND t.checkpoint_id = p.checkpoint_id),
      without_writes AS (
        DELETE FROM ${writes} t USING pruned p
         WHERE $4::boolean AND t.thread_id = $1 AND t.checkpoint_ns = p.checkpoint_ns AND t.checkpoint_id = p.checkpoint_id),
      without_blobs AS (
        DELETE FROM ${blobs} t
         WHERE $4::boolean AND EXISTS (SELECT FROM pruned) AND t.thread_id = $1
           AND (t.checkpoint_ns, t.channel, t.version) IN (
             SELECT r.checkpoint_ns, v.key, v.value FROM pruned p JOIN ranked r USING (checkpoint_ns, checkpoint_id)
               CROSS JOIN LATERAL jsonb_each_text(r.versions) v)
           AND (t.checkpoint_ns, t.channel, t.version) NOT IN (SELECT checkpoint_ns, channel, version FROM used))
      SELECT count(*) AS count FROM pruned`,
    copy: `
      WITH copied_blobs AS (
        INSERT INTO ${blobs} (thread_id, checkpoint_ns, channel, version, type, blob, write_seq)
        SELECT $2, checkpoint_ns, channel, version, type, blob, $3::bigint FROM ${blobs} t WHERE thread_id = $1 AND NOT ${gone}),
      copied_writes AS (
        INSERT INTO ${writes} (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path, write_seq)
        SELECT $2, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path, $3::bigint
          FROM ${writes} t WHERE thread_id = $1 AND NOT ${gone}),
      copied AS (
        INSERT INTO ${checkpoints} (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata, write_seq)
        SELECT $2, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint,
            CASE WHEN metadata ->> 'thread_id' = $1 THEN metadata || jsonb_build_object('thread_id', $2::text) ELSE metadata END,
            $3::bigint
          FROM ${checkpoints} t WHERE thread_id = $1 AND NOT ${gone}
        RETURNING 1)
      SELECT count(*) AS count FROM copied`,
    exists: `
      SELECT EXISTS (SELECT FROM ${checkpoints} t WHERE thread_id = $1 AND NOT ${gone})
        OR EXISTS (SELECT FROM ${writes} t WHERE thread_id = $1 AND NOT ${gone}) AS found`,
  };
}

/** Those of the channels that have no whole value at this checkpoint. */
function openChannels({ blobs }: GraphTableNames, channels: string, checkpoint: string): string {
  return `ARRAY(SELECT o.channel FROM unnest(${channels}) AS o (channel) WHERE NOT EXISTS (
      SELECT FROM ${blobs} b WHERE b.thread_id = $1 AND b.checkpoint_ns = ${checkpoint}.checkpoint_ns AND b.channel = o.channel
         AND b.version = ${checkpoint}.versions ->> o.channel AND b.type <> 'empty') ORDER BY 1)`;
}
