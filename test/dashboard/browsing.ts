import type { Change } from '../../src/dashboard/difference.js';
import type { TimelineEntry } from '../../src/dashboard/execution-reader.js';
import type { Checkpoint, CheckpointInput } from '../../src/index.js';
import { PostgresCheckpointStore } from '../../src/index.js';
import { type Place, testPlace } from '../store/place.js';
import { type Serving, serveDashboard } from './serving.js';

export interface Timeline {
  checkpoints: TimelineEntry[];
  next: string | null;
  pending: number | null;
}

export interface Shown {
  checkpoint: Checkpoint;
  previous: string | null;
  changes: Change[];
  truncated: boolean;
}

/** A place with these checkpoints, committed, and its dashboard. */
export async function stored(
  checkpoints: readonly CheckpointInput[],
): Promise<{ place: Place; dashboard: Serving }> {
  const place = await testPlace();
  const store = new PostgresCheckpointStore({ postgres: place.postgres, schema: place.schema });
  await store.initSchema();
  await store.saveBatch(checkpoints);
  await store.close();
  return { place, dashboard: await serveDashboard(place) };
}

export function timelineOf(dashboard: Serving, executionId: string, query = '') {
  return dashboard.get<Timeline>(`api/executions/${encodeURIComponent(executionId)}/checkpoints${query}`);
}

export function shown(dashboard: Serving, executionId: string, id: string) {
  const path = `api/executions/${encodeURIComponent(executionId)}/checkpoints/${encodeURIComponent(id)}`;
  return dashboard.get<Shown>(path);
}

export const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute));
