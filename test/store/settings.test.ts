import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { PostgresCheckpointStore, type PostgresOption } from '../../src/index.js';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { type Place, startWriter, testPlace, testStore } from './place.js';

/** Settings that an application, a role or a server may have, and that change how values are read or written. */
const SESSION = [
  'DateStyle=German,DMY',
  'IntervalStyle=sql_standard',
  'TimeZone=Asia/Kathmandu',
  'search_path=nowhere',
  'extra_float_digits=-15',
  'lc_numeric=C',
  'client_min_messages=debug1',
];

function withOptions(place: Place, settings: readonly string[]): pg.PoolConfig {
  const options = settings.map((setting) => `-c ${setting.replaceAll(' ', '\\ ')}`).join(' ');
  return { connectionString: place.postgres, options };
}

function plainStore(place: Place, postgres: PostgresOption): PostgresCheckpointStore {
  const store = new PostgresCheckpointStore({ postgres, schema: place.schema });
  onTestFinished(() => store.close());
  return store;
}

function applicationPool(config: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool(config);
  onTestFinished(() => pool.end());
  return pool;
}

const checkpoint = () =>
  newCheckpoint({
    state: { n: [0.1, 1e21, 5e-324], text: 'ä\0' },
    metadata: { a: [true, null] },
    timestamp: new Date('2024-03-31T01:30:00.123Z'),
    version: 2,
  });

describe('the settings of the application', () => {
  it('change nothing in what is written and read on either path', async () => {
    const place = await testPlace();
    const postgres = withOptions(place, SESSION);
    await startWriter(place, { postgres });
    const [direct, queued] = [checkpoint(), checkpoint()];
    const store = plainStore(place, postgres);
    await store.save(direct);
    await testStore(place, { postgres }).save(queued, { ack: 'committed' });
    expect(await store.load(direct.id)).toStrictEqual(direct);
    expect(await store.load(queued.id)).toStrictEqual(queued);
    expect(await store.list(direct.executionId, { after: new Date(0), before: new Date() })).toHaveLength(1);
  });

  it('may parse types their own way', async () => {
    const place = await testPlace();
    const { JSONB, TIMESTAMPTZ, INT8, INT4, TEXT, BOOL, NUMERIC } = pg.types.builtins;
    const oids = [JSONB, TIMESTAMPTZ, INT8, INT4, TEXT, BOOL, NUMERIC];
    const originals = oids.map((oid) => pg.types.getTypeParser(oid));
    for (const oid of oids) pg.types.setTypeParser(oid, () => 'parsed by the application');
    onTestFinished(() => {
      for (const [index, oid] of oids.entries())
        pg.types.setTypeParser(oid, originals[index] as () => unknown);
    });
    const postgres = applicationPool({ connectionString: place.postgres });
    await startWriter(place, { postgres });
    const given = checkpoint();
    const receipt = await testStore(place, { postgres }).save(given);
    expect(await receipt.committed()).toBe('committed');
    const store = plainStore(place, postgres);
    expect(await store.load(given.id)).toStrictEqual(given);
    expect(await (await store.save({ ...given, version: 1 })).committed()).toBe('superseded');
    await store.clear(given.executionId);
    expect(await store.list(given.executionId)).toEqual([]);
  });

  it.each(['serializable', 'repeatable read'])(
    'may have %s as isolation, with many writers',
    async (level) => {
      const place = await testPlace();
      const postgres = withOptions(place, [`default_transaction_isolation=${level}`]);
      await startWriter(place, { postgres, lingerMs: 0, maxBatchRecords: 1, maxConcurrentBatches: 4 });
      const [queued, plain] = [
        testStore(place, { postgres, maxChunkRecords: 1 }),
        plainStore(place, postgres),
      ];
      const executionId = newExecution();
      const ids = ['a', 'b', 'c'].map((id) => `${id} ${executionId}`);
      const saves = Array.from({ length: 60 }, (_, version) =>
        newCheckpoint({ id: ids[version % 3], executionId, version, state: version }),
      );
      await plain.initSchema();
      await Promise.all(
        saves.map((save, index) => (index % 2 ? plain.save(save) : queued.save(save, { ack: 'committed' }))),
      );
      const stored = await plain.list(executionId);
      expect(stored.map(({ state }) => state).sort()).toEqual([57, 58, 59]);
      await Promise.all([plain.clear(executionId), ...ids.map((id) => plain.delete(id))]);
      expect(await plain.list(executionId)).toEqual([]);
    },
  );
});

describe('a pool of the application', () => {
  it('is used and left open by stores and writers', async () => {
    const place = await testPlace();
    const pool = applicationPool({ connectionString: place.postgres, max: 4 });
    const writer = await startWriter(place, { postgres: pool });
    const queued = testStore(place, { postgres: pool });
    const plain = plainStore(place, pool);
    await queued.save(newCheckpoint(), { ack: 'committed' });
    await plain.save(newCheckpoint());
    await Promise.all([queued.close(), plain.close(), writer.close()]);
    expect(pool.totalCount).toBeGreaterThan(0);
    expect(pool.idleCount).toBe(pool.totalCount);
    expect((await pool.query(`SELECT count(*)::int AS count FROM ${place.schema}.checkpoints`)).rows).toEqual(
      [{ count: 2 }],
    );
  });

  it('of one connection is enough for a writer and a store', async () => {
    const place = await testPlace();
    const pool = applicationPool({ connectionString: place.postgres, max: 1 });
    await startWriter(place, { postgres: pool });
    const store = testStore(place, { postgres: pool });
    const executionId = newExecution();
    await store.saveBatch(
      Array.from({ length: 500 }, () => newCheckpoint({ executionId })),
      { ack: 'committed' },
    );
    await store.clear(executionId);
    expect(await store.list(executionId)).toEqual([]);
  });
});
