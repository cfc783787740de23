import type { CheckpointInput } from '../../src/index.js';
import type { Place } from '../store/place.js';

const DAY_MS = 86_400_000;

/** A whole number of days, in milliseconds. */
export function days(count: number): number {
  return count * DAY_MS;
}

/** Checkpoints `<execution>:1` to `:count`, each a day older than the one behind it, the last one of yesterday. */
export function daily(executionId: string, count: number): Array<CheckpointInput & { id: string }> {
  const now = Date.now();
  return Array.from({ length: count }, (_, index) => ({
    id: `${executionId}:${index + 1}`,
    executionId,
    nodeName: 'node',
    state: { index },
    timestamp: new Date(now - days(count - index)),
  }));
}

/** As if all that is stored had been saved an hour ago. */
export async function saveLongAgo({ pool, schema }: Place): Promise<void> {
  await pool.query(`UPDATE ${schema}.checkpoints SET write_seq = write_seq - 3600000000`);
}

/** The ids that are stored, by execution and in the order of a list. */
export async function storedIds({ pool, schema }: Place): Promise<string[]> {
  const { rows } = await pool.query<{ id: string }>(
    `SELECT id FROM ${schema}.checkpoints ORDER BY execution_id, timestamp, version, write_seq, id COLLATE "C"`,
  );
  return rows.map(({ id }) => id);
}

export async function tombstones({ pool, schema }: Place): Promise<number> {
  const { rows } = await pool.query(`SELECT count(*)::int AS count FROM ${schema}.checkpoints_tombstones`);
  return rows[0].count;
}

/** Whether a statement waits for a lock on the table. */
export async function waitsFor({ pool }: Place, table: string): Promise<boolean> {
  const { rows } = await pool.query('SELECT FROM pg_locks WHERE NOT granted AND relation = to_regclass($1)', [
    table,
  ]);
  return rows.length > 0;
}
