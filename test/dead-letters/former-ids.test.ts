import { describe, expect, it } from 'vitest';
import type { CheckpointInput, DeadLetters, ReplayResult } from '../../src/index.js';
import { serveDashboard } from '../dashboard/serving.js';
import { type Place, startWriter, testStore } from '../store/place.js';
import { forgedLine, type PoisonablePlace, poisonablePlace, refusedOne, testLetters } from './letters.js';

interface RefusedTwice {
  readonly place: PoisonablePlace;
  readonly letters: DeadLetters;
  readonly checkpoint: CheckpointInput & { executionId: string };
  /** Those that it had, in their order, and the one that it has. */
  readonly former: readonly string[];
  readonly current: string;
}

/** A save that was refused, and refused again at two replays. A worker runs. */
async function refusedTwice(): Promise<RefusedTwice> {
  const place = await poisonablePlace();
  const { checkpoint, sequence } = await refusedOne(place);
  const letters = testLetters(place);
  await startWriter(place);
  for (const _ of [1, 2]) expect(await letters.replay({ all: true })).toMatchObject({ deadAgain: 1 });
  const former = [`d-${sequence}`, `d-${sequence}-1`];
  return { place, letters, checkpoint, former, current: `d-${sequence}-2` };
}

async function stored({ pool, schema }: Place): Promise<number> {
  const { rows } = await pool.query(`SELECT count(*)::int AS count FROM ${schema}.checkpoints`);
  return rows[0].count;
}

describe('an id that a dead letter had before it was replayed', () => {
  it('names it still, with its payload; an id that it has not had names nothing', async () => {
    const { letters, checkpoint, former, current } = await refusedTwice();
    for (const id of [...former, current]) {
      expect(await letters.get(id)).toMatchObject({ deadLetterId: current, replays: 2 });
      expect(await letters.get(id, { payload: true })).toMatchObject({
        deadLetterId: current,
        payload: { kind: 'checkpoint', checkpoint: { id: checkpoint.id } },
      });
    }
    expect(await letters.get(current.replace(/2$/, '3'))).toBeUndefined();
    expect(await letters.get(`${former[0]}0`)).toBeUndefined();
  });

  it('names the one with the most replays where an import has brought back another one', async () => {
    const place = await poisonablePlace();
    const letters = testLetters(place);
    await letters.import([forgedLine(place, { sequence: 5, replays: 2 })]);
    expect(await letters.get('d-5')).toMatchObject({ replays: 2 });
    expect(await letters.get('d-5-1')).toMatchObject({ replays: 2 });
    await letters.import([forgedLine(place, { sequence: 5, replays: 4 })]);
    expect(await letters.get('d-5-1')).toMatchObject({ replays: 4 });
    expect(await letters.get('d-5-5')).toBeUndefined();
  });

  it('replays it', async () => {
    const { place, letters, former } = await refusedTwice();
    await place.cure();
    expect(await letters.replay({ ids: [former[0] as string] })).toMatchObject({ replayed: 1, committed: 1 });
    expect(await letters.count()).toBe(0);
    expect(await letters.get(former[0] as string)).toBeUndefined();
  });

  it('replays it once, however many of its ids are given', async () => {
    const { letters, former, current } = await refusedTwice();
    const ids = [former[0], current, former[1]] as string[];
    expect(await letters.replay({ ids, dryRun: true })).toMatchObject({ replayed: 1 });
    expect(await letters.replay({ ids })).toMatchObject({ replayed: 1, deadAgain: 1, skipped: 0 });
    expect(await letters.list()).toMatchObject([{ replays: 3 }]);
  });

  it('can be replayed by several at once: what is refused stays one dead letter, what is cured is stored', async () => {
    const { place, letters, former } = await refusedTwice();
    const others = [letters, testLetters(place), testLetters(place)];
    const atOnce = async () => {
      const replays = others.map((one, index) => one.replay({ ids: [former[index % 2] as string] }));
      const results = await Promise.all(replays);
      const sum = (of: keyof ReplayResult) => results.reduce((total, result) => total + result[of], 0);
      expect(sum('replayed') + sum('skipped')).toBe(others.length);
      return sum;
    };
    for (const _ of [1, 2, 3]) {
      const sum = await atOnce();
      expect(sum('replayed')).toBeGreaterThan(0);
      expect(await letters.count()).toBe(1);
    }
    await place.cure();
    expect((await atOnce())('committed')).toBeGreaterThan(0);
    expect(await letters.count()).toBe(0);
    expect(await stored(place)).toBe(1);
  });

  it('edits it', async () => {
    const { place, letters, checkpoint, former } = await refusedTwice();
    const edit = letters.edit(former[1] as string, { ...checkpoint, state: 'better' });
    expect(await edit).toMatchObject({ replayed: 1, committed: 1 });
    expect((await testStore(place).load(checkpoint.id)).state).toBe('better');
  });

  it('purges it', async () => {
    const { letters, former, current } = await refusedTwice();
    const ids = [...former, current];
    expect(await letters.purge({ ids, dryRun: true })).toBe(1);
    expect(await letters.purge({ ids: [former[0] as string, former[1] as string] })).toBe(1);
    expect(await letters.count()).toBe(0);
  });

  it('names it in the dashboard', async () => {
    const { place, former, current } = await refusedTwice();
    const { get } = await serveDashboard(place);
    expect(await get(`api/dead-letters/${former[0]}`)).toMatchObject({
      status: 200,
      body: { deadLetterId: current },
    });
  });
});
