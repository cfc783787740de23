import { expect, vi } from 'vitest';
import type { Place } from './place.js';

/** Resolves when a connection whose application has the name of the schema waits for another transaction. */
export async function waitsForLock({ pool, schema }: Place): Promise<void> {
  await vi.waitFor(async () => {
    const { rows } = await pool.query(
      `SELECT 1 FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`,
      [schema],
    );
    expect(rows).toHaveLength(1);
  });
}
