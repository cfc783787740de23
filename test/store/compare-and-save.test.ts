import { beforeEach, describe, expect, inject, it, onTestFinished } from 'vitest';
import { serializeCheckpoint } from '../../src/checkpoint.js';
import { PostgresCheckpointStore, type QueuedCheckpointStore } from '../../src/index.js';
import { Database } from '../../src/postgres/database.js';
import { tableNames } from '../../src/postgres/identifiers.js';
import { raiseSequence } from '../../src/redis/sequence.js';
import { freePort } from '../../src/services/free-port.js';
import { BatchWriter } from '../../src/writer/batch-writer.js';
import { CheckpointRow } from '../../src/writer/checkpoint-row.js';
import { CheckpointSink } from '../../src/writer/checkpoint-sink.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { TcpProxy } from '../faults/tcp-proxy.js';
import { HeldCommits } from '../writer/held-commit.js';
import { waitsForLock } from './lock-wait.js';
import { type Place, startWriter, testPlace, testStore } from './place.js';

const HOUR_US = 3_600_000_000;
const UNAVAILABLE = { code: 'QUEUE_UNAVAILABLE' };

let place: Place;
let store: QueuedCheckpointStore;
beforeEach(async () => {
  place = await testPlace();
  store = testStore(place);
  await store.initSchema();
});

/** Delivers a save as a worker would, with the sequence it was acknowledged with. */
function deliver(checkpoint: ReturnType<typeof newCheckpoint>, sequence: number) {
  const database = new Database(place.postgres);
  onTestFinished(() => database.close());
  const sink = new CheckpointSink(tableNames({ schema: place.schema }));
  const body = new CheckpointRow(serializeCheckpoint(checkpoint)).toBuffer();
  return new BatchWriter(database).write([{ sink, records: [{ sequence, body }] }]);
}

async function moveClock(column: string, microseconds: number): Promise<void> {
  const rows = inject('partitionBy') ? ['checkpoints', 'checkpoints_ids'] : ['checkpoints'];
  for (const table of column === 'fence' ? ['checkpoints_tombstones'] : rows) {
    await place.pool.query(`UPDATE ${place.schema}.${table} SET ${column} = ${column} + $1`, [microseconds]);
  }
}

describe('a save with an expected version, beside queued saves', () => {
  it('goes past the queue, whatever its size', async () => {
    const small = testStore(place, { maxQueuedBytes: 1000 });
    const [first, second] = [newCheckpoint(), newCheckpoint({ state: 'x'.repeat(2000) })];
    for (const checkpoint of [first, second]) await small.save(checkpoint, { expectedVersion: 0 });
    expect(await place.client.exists(place.keys.chunks, place.keys.marks, place.keys.waiting)).toBe(0);
    expect((await small.load(second.id)).state).toBe(second.state);
  });

  it.each([
    [0, 'lower', 'superseded', 'compared'],
    [1, 'the same', 'superseded', 'compared'],
    [2, 'a higher', 'committed', 'queued'],
  ])(
    'stands against one of version %i, %s one, that was acknowledged before and arrives later: %s',
    async (version, _, outcome, state) => {
      const checkpoint = newCheckpoint();
      const queued = await store.save({ ...checkpoint, version, state: 'queued' });
      const compared = testStore(place);
      await compared.save({ ...checkpoint, state: 'compared' }, { expectedVersion: 0 });
      await startWriter(place);
      expect(await queued.committed()).toBe(outcome);
      expect((await store.load(checkpoint.id)).state).toBe(state);
    },
  );

  it.each([1, 2])('gives way to one of version %i that is made after it, by any store', async (version) => {
    const checkpoint = newCheckpoint();
    await store.save({ ...checkpoint, state: 'compared' }, { expectedVersion: 0 });
    const queued = await testStore(place).save({ ...checkpoint, version, state: 'queued' });
    await startWriter(place);
    expect(await queued.committed()).toBe('committed');
    expect(await store.load(checkpoint.id)).toMatchObject({ version, state: 'queued' });
  });

  it('comes between the saves before and after it, also when nobody waits for them', async () => {
    await startWriter(place);
    await store.save(newCheckpoint(), { ack: 'committed' }); // so that the connection stands
    const checkpoint = newCheckpoint({ version: 0 });
    const queue = (state: string) => store.save({ ...checkpoint, state });
    const receipts = await Promise.all([
      queue('before'),
      store.save({ ...checkpoint, state: 'compared' }, { expectedVersion: 0 }),
      queue('after'),
    ]);
    const sequences = receipts.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    await store.flush();
    expect((await store.load(checkpoint.id)).state).toBe('after');
  });

  it('of 0 succeeds after a delete, and nothing that was saved before undoes it', async () => {
    await startWriter(place);
    const checkpoint = newCheckpoint({ version: 8 });
    const former = await store.save(checkpoint, { ack: 'committed' });
    await store.delete(checkpoint.id);
    const anew = { ...checkpoint, version: undefined, state: 'anew' };
    await store.save(anew, { expectedVersion: 0 });
    expect(await deliver(checkpoint, former.sequence)).toMatchObject({ committed: 0, deleted: 1 });
    expect(await store.load(checkpoint.id)).toMatchObject({ version: 1, state: 'anew' });
  });

  it('counts as pending memory: what is above the limit is refused, one alone is not', async () => {
    const bounded = testStore(place, { maxPendingBytes: 3000 });
    const states = ['a', 'b', 'c'].map((letter) => letter.repeat(2000));
    const saves = await Promise.allSettled(
      states.map((state) => bounded.save(newCheckpoint({ state }), { expectedVersion: 0 })),
    );
    expect(saves.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(saves[2]).toMatchObject({ reason: { code: 'BACKPRESSURE', limit: 'maxPendingBytes' } });
    await bounded.save(newCheckpoint({ state: 'x'.repeat(4000) }), { expectedVersion: 0 });
  });

  it('is not for saveBatch, by type', () => {
    // @ts-expect-error
    const batch = () => store.saveBatch([newCheckpoint()], { expectedVersion: 0 });
    expect(batch).toBeTypeOf('function');
  });
});

describe.each(['delete', 'clear'] as const)(
  'while a %s waits for a batch before it removes the rows',
  (method) => {
    it('a stored version counts as gone, and a save that expects nothing outlives the delete', async () => {
      const checkpoint = newCheckpoint({ version: 5, state: 'stored' });
      await store.save({ ...checkpoint }, { expectedVersion: 0 });
      const held = new HeldCommits({ connectionString: place.postgres });
      await startWriter(place, { postgres: held });
      await store.save(newCheckpoint());
      await held.stands();
      const deleting = testStore(place, {
        postgres: { connectionString: place.postgres, application_name: place.schema },
      });
      const key = method === 'delete' ? checkpoint.id : checkpoint.executionId;
      const removing = Promise.allSettled([deleting[method](key)]);
      await waitsForLock(place);

      const next = { ...checkpoint, version: undefined };
      const saving = store.save(next, { expectedVersion: 5 }).catch((error: unknown) => error);
      expect(await saving).toMatchObject({ code: 'VERSION_CONFLICT', actualVersion: undefined });
      await store.save({ ...next, state: 'anew' }, { expectedVersion: 0 });
      held.letGo();
      expect(await removing).toMatchObject([{ status: 'fulfilled' }]);
      expect(await store.load(checkpoint.id)).toMatchObject({ version: 1, state: 'anew' });
    });
  },
);

it('a row that another program wrote after a delete is compared as it is, though it has no sequence', async () => {
  const checkpoint = newCheckpoint();
  await store.delete(checkpoint.id);
  await place.pool.query(
    `INSERT INTO ${place.schema}.checkpoints (id, execution_id, node_name, state, timestamp, version)
     VALUES ($1, $2, '', '{}', now(), 3)`,
    [checkpoint.id, checkpoint.executionId],
  );
  const saving = store.save(checkpoint, { expectedVersion: 0 });
  await expect(saving).rejects.toMatchObject({ code: 'VERSION_CONFLICT', actualVersion: 3 });
  await store.save(checkpoint, { expectedVersion: 3 });
  expect((await store.load(checkpoint.id)).version).toBe(4);
});

describe('a save with an expected version, where another clock numbered what is there', () => {
  it.each([
    ['ahead', HOUR_US],
    ['behind', -HOUR_US],
  ])('comes after a stored row of a clock %s, and before what is saved then', async (_, difference) => {
    await startWriter(place);
    const checkpoint = newCheckpoint();
    const plain = new PostgresCheckpointStore({ postgres: place.postgres, schema: place.schema });
    onTestFinished(() => plain.close());
    const { sequence } = await plain.save(checkpoint);
    await moveClock('write_seq', difference);

    const compared = await store.save({ ...checkpoint, state: 'compared' }, { expectedVersion: 1 });
    expect(compared.sequence).toBeGreaterThan(sequence + difference);
    const stored = await place.pool.query(`SELECT write_seq FROM ${place.schema}.checkpoints`);
    expect(Number(stored.rows[0]?.write_seq)).toBe(compared.sequence);
    const again = { ...checkpoint, version: 2, state: 'queued later' };
    expect(await deliver(again, sequence + difference)).toMatchObject({ superseded: 1 });

    const later = await testStore(place).save(again);
    expect(await later.committed()).toBe('committed');
    expect((await store.load(checkpoint.id)).state).toBe('queued later');
  });

  it('comes after a delete whose fence is ahead, and before what is saved then', async () => {
    await startWriter(place);
    const checkpoint = newCheckpoint();
    await store.delete(checkpoint.id);
    await moveClock('fence', HOUR_US);
    const compared = await store.save(checkpoint, { expectedVersion: 0 });
    expect(await deliver({ ...checkpoint, version: 8 }, compared.sequence - 1)).toMatchObject({ deleted: 1 });
    const later = await testStore(place).save({ ...checkpoint, state: 'queued later' });
    expect(await later.committed()).toBe('committed');
    expect((await store.load(checkpoint.id)).state).toBe('queued later');
  });
});

describe('a save with an expected version, while Redis is away', () => {
  const writeThrough = { onQueueUnavailable: 'write-through' } as const;

  it('is rejected and not written', async () => {
    const redis = `redis://127.0.0.1:${await freePort()}`;
    const away = testStore(place, { redis, enqueueTimeoutMs: 200 });
    const checkpoint = newCheckpoint();
    await expect(away.save(checkpoint, { expectedVersion: 0 })).rejects.toMatchObject(UNAVAILABLE);
    expect(await away.list(checkpoint.executionId)).toEqual([]);
  });

  it('is written and compared where saves are written through, at once when that is known', async () => {
    const redis = `redis://127.0.0.1:${await freePort()}`;
    const away = testStore(place, { redis, enqueueTimeoutMs: 1000, ...writeThrough });
    const checkpoint = newCheckpoint();
    const sequences: number[] = [];
    for (let expectedVersion = 0; expectedVersion < 20; expectedVersion++) {
      sequences.push((await away.save(checkpoint, { expectedVersion })).sequence);
    }
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
    const saving = away.save(checkpoint, { expectedVersion: 3 });
    await expect(saving).rejects.toMatchObject({ code: 'VERSION_CONFLICT', actualVersion: 20 });
    // Only the first save waits for the deadline: twenty that did would be late.
  }, 120_000);

  it('comes after what its store saved before and before what it saves when Redis is back, whatever the clocks', async () => {
    const proxy = await TcpProxy.before(place.redis);
    const own = testStore(place, { redis: proxy.url, enqueueTimeoutMs: 1500, ...writeThrough });
    const ahead = Date.now() * 1000 + HOUR_US;
    await raiseSequence(place.client, place.keys, ahead);
    const checkpoint = newCheckpoint();
    const queued = await own.save({ ...checkpoint, state: 'queued' });
    await proxy.refuse();
    await own.save({ ...checkpoint, state: 'compared' }, { expectedVersion: 0 });
    await startWriter(place);
    await proxy.open();
    expect(await queued.committed()).toBe('superseded');
    expect((await own.load(checkpoint.id)).state).toBe('compared');
    await own.save({ ...checkpoint, state: 'queued again' }, { ack: 'committed' });
    expect((await own.load(checkpoint.id)).state).toBe('queued again');
  });

  /** A save whose Redis goes away between its sequence and its write, over a row that a clock ahead has numbered. */
  async function loseRedisMeanwhile(onQueueUnavailable: 'reject' | 'write-through') {
    const proxy = await TcpProxy.before(place.redis);
    const own = testStore(place, {
      redis: proxy.url,
      postgres: { connectionString: place.postgres, application_name: place.schema },
      enqueueTimeoutMs: 300,
      onQueueUnavailable,
    });
    const checkpoint = newCheckpoint();
    await store.save(checkpoint, { expectedVersion: 0 });
    await moveClock('write_seq', HOUR_US);
    const other = await place.pool.connect();
    try {
      await other.query(`BEGIN; SELECT FROM ${place.schema}.checkpoints FOR UPDATE`);
      const settled = Promise.allSettled([
        own.save({ ...checkpoint, state: 'compared' }, { expectedVersion: 1 }),
      ]);
      await waitsForLock(place);
      await proxy.refuse();
      await other.query('ROLLBACK');
      const [outcome] = await settled;
      return { outcome, stored: await own.load(checkpoint.id) };
    } finally {
      other.release();
    }
  }

  it('is acknowledged where saves are written through, though Redis cannot be told of its sequence', async () => {
    const { outcome, stored } = await loseRedisMeanwhile('write-through');
    expect(outcome).toMatchObject({ status: 'fulfilled' });
    expect(stored).toMatchObject({ version: 2, state: 'compared' });
  });

  it('is not acknowledged otherwise, for a later save could come before it', async () => {
    const { outcome } = await loseRedisMeanwhile('reject');
    expect(outcome).toMatchObject({ status: 'rejected', reason: UNAVAILABLE });
  });
});
