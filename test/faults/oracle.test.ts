import { describe, expect, it, onTestFinished } from 'vitest';
import { PostgresCheckpointStore } from '../../src/index.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { type Place, testPlace } from '../store/place.js';
import { FaultOracle, NOTHING_WRONG, type WholeCheckpoint } from './oracle.js';

async function openStore(): Promise<{ place: Place; store: PostgresCheckpointStore; oracle: FaultOracle }> {
  const place = await testPlace();
  const { postgres, schema } = place;
  const store = new PostgresCheckpointStore({ postgres, schema });
  onTestFinished(() => store.close());
  await store.initSchema();
  return { place, store, oracle: new FaultOracle() };
}

function whole(fields: Partial<WholeCheckpoint> = {}): WholeCheckpoint {
  const given = { metadata: null, timestamp: new Date(), version: 1, state: { random: Math.random() } };
  return { ...newCheckpoint(), ...given, ...fields } as WholeCheckpoint;
}

/** A store that does what it is asked, and then says that it failed. */
function failing(store: PostgresCheckpointStore) {
  const fail = async (work: Promise<unknown>): Promise<never> => {
    await work;
    throw new Error('the reply was lost');
  };
  return {
    save: (checkpoint: Parameters<typeof store.save>[0]) => fail(store.save(checkpoint)),
    delete: (id: string) => fail(store.delete(id)),
  };
}

it('finds nothing wrong where all is as it was promised', async () => {
  const { place, store, oracle } = await openStore();
  const saved = whole();
  const deleted = whole();
  const savedAgain = whole();
  const cleared = whole();
  for (const checkpoint of [saved, deleted, savedAgain, cleared]) await oracle.save(store, checkpoint);
  await oracle.save(store, { ...saved, version: 3, state: { newest: true } });
  await oracle.save(store, { ...saved, version: 2, state: { newest: false } });
  for (const { id } of [deleted, savedAgain]) await oracle.delete(store, id);
  await oracle.clear(store, cleared.executionId);
  await oracle.save(store, { ...savedAgain, version: 0 });
  const verdict = { acknowledged: 7, ...NOTHING_WRONG };
  expect(await oracle.verify(place)).toEqual(verdict);
  const executionIds = [saved, deleted, savedAgain, cleared].map(({ executionId }) => executionId);
  expect(await oracle.verify({ store, executionIds })).toEqual(verdict);
});

it('names what is lost, unless it is a dead letter', async () => {
  const { place, store, oracle } = await openStore();
  const checkpoint = whole();
  await oracle.save(store, checkpoint);
  await place.pool.query(`DELETE FROM ${place.schema}.checkpoints`);
  expect(await oracle.verify(place)).toEqual({ acknowledged: 1, ...NOTHING_WRONG, lost: [checkpoint.id] });
  expect(await oracle.verify(place, { deadLetters: [checkpoint.id] })).toMatchObject(NOTHING_WRONG);
});

it('names what is stale: by version, and among equal ones by sequence', async () => {
  const { place, store, oracle } = await openStore();
  const older = [whole({ version: 5 }), whole()];
  for (const checkpoint of older) await oracle.save(store, checkpoint);
  const { rows } = await place.pool.query(`SELECT * FROM ${place.schema}.checkpoints`);
  for (const { id, version, ...rest } of older) {
    await oracle.save(store, { ...rest, id, version: version === 5 ? 6 : 1, state: { newer: id } });
  }
  expect(await oracle.verify(place)).toMatchObject(NOTHING_WRONG);
  for (const { id, state, version, write_seq } of rows) {
    await place.pool.query(
      `UPDATE ${place.schema}.checkpoints SET state = $2, version = $3, write_seq = $4 WHERE id = $1`,
      [id, state, version, write_seq],
    );
  }
  const { stale, ...rest } = await oracle.verify(place);
  expect(stale.sort()).toEqual(older.map(({ id }) => id).sort());
  expect(rest).toMatchObject({ lost: [], resurrected: [], unexpected: [] });
});

it('names what came back after a delete or a clear', async () => {
  const { place, store, oracle } = await openStore();
  const [first, second] = [whole(), whole()];
  for (const checkpoint of [first, second]) await oracle.save(store, checkpoint);
  await place.pool.query(`CREATE TABLE ${place.schema}.kept AS TABLE ${place.schema}.checkpoints`);
  await oracle.delete(store, first.id);
  await oracle.clear(store, second.executionId);
  await oracle.save(store, { ...second, state: { saved: 'later' } });
  await store.delete(second.id);
  await place.pool.query(`INSERT INTO ${place.schema}.checkpoints SELECT * FROM ${place.schema}.kept`);
  const { resurrected } = await oracle.verify(place);
  expect(resurrected.sort()).toEqual([first.id, second.id].sort());
});

it('names rows that nobody saved so, or under another sequence', async () => {
  const { place, store, oracle } = await openStore();
  const [other, shifted] = [whole(), whole()];
  for (const checkpoint of [other, shifted]) await oracle.save(store, checkpoint);
  const stranger = whole();
  await store.save(stranger);
  await place.pool.query(`UPDATE ${place.schema}.checkpoints SET node_name = 'elsewhere' WHERE id = $1`, [
    other.id,
  ]);
  await place.pool.query(`UPDATE ${place.schema}.checkpoints SET write_seq = write_seq - 1 WHERE id = $1`, [
    shifted.id,
  ]);
  const { unexpected } = await oracle.verify(place);
  expect(unexpected.sort()).toEqual([other.id, shifted.id, stranger.id].sort());
});

it('makes no reproach of what failed or was under way: done or not, both are right', async () => {
  const { place, store, oracle } = await openStore();
  const [arrived, replaced, deleted, kept] = [whole(), whole(), whole(), whole()];
  await expect(oracle.save(failing(store), arrived)).rejects.toThrow('lost');
  const nowhere = { save: async () => Promise.reject(new Error('refused')) };
  await expect(oracle.save(nowhere, whole())).rejects.toThrow('refused');
  for (const checkpoint of [replaced, deleted, kept]) await oracle.save(store, checkpoint);
  await expect(oracle.save(failing(store), { ...replaced, state: { failed: true } })).rejects.toThrow('lost');
  await expect(oracle.delete(failing(store), deleted.id)).rejects.toThrow('lost');
  const notDone = { delete: async () => Promise.reject(new Error('refused')) };
  await expect(oracle.delete(notDone, kept.id)).rejects.toThrow('refused');
  expect(await oracle.verify(place)).toEqual({ acknowledged: 3, ...NOTHING_WRONG });
});

it('holds a save that came after a failed delete against who does not show it', async () => {
  const { place, store, oracle } = await openStore();
  const checkpoint = whole();
  await oracle.save(store, checkpoint);
  await expect(oracle.delete(failing(store), checkpoint.id)).rejects.toThrow('lost');
  await oracle.save(store, { ...checkpoint, state: { saved: 'later' } });
  expect(await oracle.verify(place)).toMatchObject(NOTHING_WRONG);
  await place.pool.query(`DELETE FROM ${place.schema}.checkpoints`);
  expect((await oracle.verify(place)).lost).toEqual([checkpoint.id]);
});

describe('of a latest read', () => {
  const everything = (...checkpoints: WholeCheckpoint[]) => ({ checkpoints, covers: () => true });

  async function saved(fields: Partial<WholeCheckpoint> = {}) {
    const { store, oracle } = await openStore();
    const checkpoint = whole({ version: 2, ...fields });
    await oracle.save(store, checkpoint);
    const { executionId } = checkpoint;
    const misreads = (...shown: WholeCheckpoint[]) =>
      oracle.read(executionId, async () => everything(...shown));
    return { store, oracle, checkpoint, executionId, misreads };
  }

  it('it takes what was acknowledged before', async () => {
    const { misreads, checkpoint } = await saved();
    expect(await misreads(checkpoint)).toEqual([]);
  });

  it('it names what is missing, unless the read tells nothing of it', async () => {
    const { oracle, misreads, checkpoint, executionId } = await saved();
    expect(await misreads()).toEqual([{ id: checkpoint.id, wrong: 'missing' }]);
    const ofOthers = async () => ({ checkpoints: [], covers: () => false });
    expect(await oracle.read(executionId, ofOthers)).toEqual([]);
  });

  it('it names what is older than what was acknowledged, by version and then by sequence', async () => {
    const { store, oracle, misreads, checkpoint } = await saved();
    const [again, higher] = [
      { ...checkpoint, state: { again: true } },
      { ...checkpoint, version: 3, state: { higher: true } },
    ];
    await oracle.save(store, again);
    expect(await misreads(checkpoint)).toEqual([{ id: checkpoint.id, wrong: 'stale' }]);
    await oracle.save(store, higher);
    expect(await misreads(again)).toEqual([{ id: checkpoint.id, wrong: 'stale' }]);
    expect(await misreads(higher)).toEqual([]);
  });

  it('it names what was deleted before, and what nobody saved', async () => {
    const { store, oracle, misreads, checkpoint } = await saved();
    await oracle.delete(store, checkpoint.id);
    expect(await misreads()).toEqual([]);
    expect(await misreads(checkpoint)).toEqual([{ id: checkpoint.id, wrong: 'resurrected' }]);
    const stranger = { ...checkpoint, state: { stranger: true } };
    expect(await misreads(stranger)).toEqual([{ id: checkpoint.id, wrong: 'unexpected' }]);
  });

  it('it makes no reproach of what was saved, or deleted, while it was under way', async () => {
    const { store, oracle, checkpoint, executionId } = await saved();
    const newer = { ...checkpoint, version: 3, state: { newer: true } };
    const during = (work: () => Promise<unknown>, ...shown: WholeCheckpoint[]) =>
      oracle.read(executionId, async () => {
        await work();
        return everything(...shown);
      });
    expect(await during(() => oracle.save(store, newer), checkpoint)).toEqual([]);
    expect(await during(() => oracle.delete(store, newer.id), newer)).toEqual([]);
  });
});
