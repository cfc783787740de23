import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { PostgresCheckpointStore } from '../../src/index.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';

let place: Place;
let table: string;

/** As LangGraphGo's PostgreSQL store creates its table. */
beforeEach(async () => {
  place = await testPlace();
  table = `${place.schema}.checkpoints`;
  await place.pool.query(`
    CREATE TABLE IF NOT EXISTS ${table} (
      id TEXT PRIMARY KEY,
      execution_id TEXT NOT NULL,
      node_name TEXT NOT NULL,
      state JSONB NOT NULL,
      metadata JSONB,
      timestamp TIMESTAMPTZ NOT NULL,
      version INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS idx_checkpoints_execution_id ON ${table} (execution_id)`);
});

/** As it saves: without our column. */
async function saveInGo(id: string, state: unknown, version: number): Promise<void> {
  await place.pool.query(
    `INSERT INTO ${table} (id, execution_id, node_name, state, metadata, timestamp, version)
     VALUES ($1, 'run', 'go', $2, $3, $4, $5)
     ON CONFLICT (id) DO UPDATE SET execution_id = EXCLUDED.execution_id, node_name = EXCLUDED.node_name,
       state = EXCLUDED.state, metadata = EXCLUDED.metadata, timestamp = EXCLUDED.timestamp,
       version = EXCLUDED.version`,
    [
      id,
      JSON.stringify(state),
      JSON.stringify({ execution_id: 'run' }),
      '2024-05-06 07:08:09.123456+02',
      version,
    ],
  );
}

/** As it loads: every column that it knows, by name. */
async function loadInGo(id: string): Promise<unknown> {
  const { rows } = await place.pool.query(
    `SELECT id, execution_id, node_name, state, metadata, timestamp, version FROM ${table} WHERE id = $1`,
    [id],
  );
  return rows[0];
}

function plainStore(): PostgresCheckpointStore {
  const store = new PostgresCheckpointStore({ postgres: place.postgres, schema: place.schema });
  onTestFinished(() => store.close());
  return store;
}

describe("LangGraphGo's table", () => {
  it('is taken over with its rows, and its index is widened', async () => {
    await saveInGo('a', { by: 'go' }, 3);
    await startWriter(place);
    const store = plainStore();
    const taken = {
      id: 'a',
      executionId: 'run',
      nodeName: 'go',
      state: { by: 'go' },
      metadata: { execution_id: 'run' },
      timestamp: new Date('2024-05-06T05:08:09.123Z'),
      version: 3,
    };
    expect(await store.load('a')).toStrictEqual(taken);
    expect(await store.list('run')).toStrictEqual([taken]);
    const { rows } = await place.pool.query(
      `SELECT indexdef FROM pg_indexes WHERE schemaname = $1 AND indexname = 'idx_checkpoints_execution_id'`,
      [place.schema],
    );
    expect(rows).toEqual([{ indexdef: expect.stringContaining('(execution_id, "timestamp", version)') }]);
  });

  it('is taken over by many replicas at once', async () => {
    await saveInGo('a', 1, 1);
    await Promise.all(Array.from({ length: 6 }, () => startWriter(place)));
    expect((await plainStore().load('a')).state).toBe(1);
  });

  it('can be read and written by its Go programs beside us', async () => {
    await startWriter(place);
    await testStore(place).save(
      { id: 'b', executionId: 'run', nodeName: 'ts', state: { by: 'ts' }, timestamp: new Date(0) },
      { ack: 'committed' },
    );
    expect(await loadInGo('b')).toEqual({
      id: 'b',
      execution_id: 'run',
      node_name: 'ts',
      state: { by: 'ts' },
      metadata: null,
      timestamp: new Date(0),
      version: 1,
    });
    await saveInGo('b', { by: 'go' }, 2);
    await saveInGo('c', { by: 'go' }, 1);
    expect((await plainStore().list('run')).map(({ id, state }) => [id, state])).toEqual([
      ['c', { by: 'go' }],
      ['b', { by: 'go' }],
    ]);
  });

  it('has rows of Go that a newer save of ours overwrites, and an older one does not', async () => {
    await startWriter(place);
    const queued = testStore(place);
    const checkpoint = { executionId: 'run', nodeName: 'ts' };
    for (const save of [
      (id: string, state: string, version: number) =>
        queued.save({ ...checkpoint, id, state, version }, { ack: 'committed' }),
      (id: string, state: string, version: number) =>
        plainStore().save({ ...checkpoint, id, state, version }),
    ]) {
      await saveInGo('a', 'go', 2);
      expect(await (await save('a', 'older', 1)).committed()).toBe('superseded');
      expect((await queued.load('a')).state).toBe('go');
      expect(await (await save('a', 'same version, later', 2)).committed()).toBe('committed');
      expect((await queued.load('a')).state).toBe('same version, later');
      await saveInGo('a', 'go again', 2);
      expect(await (await save('a', 'newer', 3)).committed()).toBe('committed');
      expect((await queued.load('a')).state).toBe('newer');
      await queued.delete('a');
    }
  });

  it('has rows of Go that delete and clear remove', async () => {
    await startWriter(place);
    const store = testStore(place);
    await saveInGo('a', 1, 1);
    await saveInGo('b', 1, 1);
    await store.delete('a');
    expect(await loadInGo('a')).toBeUndefined();
    await store.clear('run');
    expect(await loadInGo('b')).toBeUndefined();
    await saveInGo('a', 'back', 1);
    expect((await store.load('a')).state).toBe('back');
  });
});
