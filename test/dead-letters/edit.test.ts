import { describe, expect, it } from 'vitest';
import { TcpProxy } from '../faults/tcp-proxy.js';
import { startWriter, testStore } from '../store/place.js';
import { forgedLine, poisonablePlace, refusedOne, testLetters } from './letters.js';
import { clientThat, keyOf } from './steps.js';

describe('an edit', () => {
  it('commits the better checkpoint in the place of the refused one', async () => {
    const place = await poisonablePlace();
    const { checkpoint, sequence, deadLetterId } = await refusedOne(place);
    await startWriter(place);
    const letters = testLetters(place);
    const result = await letters.edit(deadLetterId, { ...checkpoint, state: 'better' });
    expect(result).toMatchObject({ replayed: 1, committed: 1 });
    expect((await testStore(place).load(checkpoint.id)).state).toBe('better');
    const { rows } = await place.pool.query(`SELECT write_seq FROM ${place.schema}.checkpoints`);
    expect(rows).toEqual([{ write_seq: String(sequence) }]);
    expect(await letters.count()).toBe(0);
  });

  it('gives way to what was saved after the refused one', async () => {
    const place = await poisonablePlace();
    const { checkpoint, deadLetterId } = await refusedOne(place);
    await startWriter(place);
    const store = testStore(place);
    await store.save({ ...checkpoint, state: 'newer' }, { ack: 'committed' });
    const result = await testLetters(place).edit(deadLetterId, { ...checkpoint, state: 'better' });
    expect(result).toMatchObject({ replayed: 1, superseded: 1 });
    expect((await store.load(checkpoint.id)).state).toBe('newer');
  });

  it('that is refused again keeps the edited checkpoint', async () => {
    const place = await poisonablePlace();
    const { checkpoint, sequence, deadLetterId } = await refusedOne(place);
    await startWriter(place);
    const letters = testLetters(place);
    const state = { poison: 'edited' };
    expect(await letters.edit(deadLetterId, { ...checkpoint, state })).toMatchObject({ deadAgain: 1 });
    const letter = await letters.get(`d-${sequence}-1`, { payload: true });
    expect(letter?.payload).toMatchObject({ checkpoint: { state } });
  });

  it.each([
    ['id', { id: 'another' }],
    ['executionId', { executionId: 'another' }],
    ['state', { state: undefined }],
    ['version', { version: -1 }],
    ['checkpoint', { state: 'x'.repeat(2 ** 20) }],
  ])('is refused where its %s is wrong, and changes nothing', async (field, fields) => {
    const place = await poisonablePlace();
    const { checkpoint, deadLetterId } = await refusedOne(place);
    const letters = testLetters(place);
    const before = await letters.get(deadLetterId, { payload: true });
    await expect(letters.edit(deadLetterId, { ...checkpoint, ...fields })).rejects.toMatchObject({
      code: 'INVALID_CHECKPOINT',
      field,
    });
    expect(await letters.get(deadLetterId, { payload: true })).toEqual(before);
  });

  it('of what is no dead letter, or of another sink, is an error', async () => {
    const place = await poisonablePlace();
    const letters = testLetters(place);
    const checkpoint = { id: 'checkpoint-1', executionId: 'forged', nodeName: '', state: 1 };
    await expect(letters.edit('d-1', checkpoint)).rejects.toMatchObject({ code: 'DEAD_LETTER_NOT_FOUND' });
    const { checkpoint: _, ...line } = forgedLine(place, { sink: 'other' }) as { checkpoint: unknown };
    await letters.import([{ ...line, body: 'AAAA' }]);
    await expect(letters.edit('d-1', checkpoint)).rejects.toMatchObject({ field: 'checkpoint' });
  });

  it('is not lost to a replay that began before it: what becomes a job is the edited checkpoint', async () => {
    const place = await poisonablePlace();
    const { checkpoint, deadLetterId } = await refusedOne(place);
    await place.cure();
    const redis = clientThat(place, 'add', async () => {
      const edited = { ...checkpoint, state: 'better' };
      expect(await testLetters(place).edit(deadLetterId, edited, { wait: false })).toMatchObject({
        replayed: 1,
      });
    });
    await testLetters(place, { redis }).replay({ ids: [deadLetterId], wait: false });
    await startWriter(place);
    await testStore(place).flush(checkpoint.executionId);
    expect((await testStore(place).load(checkpoint.id)).state).toBe('better');
  });

  it('that breaks off before there is a job has changed the dead letter, which says so', async () => {
    const place = await poisonablePlace();
    const { checkpoint, deadLetterId } = await refusedOne(place);
    const proxy = await TcpProxy.before(place.redis);
    const letters = testLetters(place, { redis: proxy.url, enqueueTimeoutMs: 300 });
    const before = await letters.get(deadLetterId);
    const done = proxy.swallowRepliesFrom(keyOf(place, 'prepare'));
    const state = 'x'.repeat(1000);
    const editing = letters.edit(deadLetterId, { ...checkpoint, state }).catch((error) => error);
    await done;
    await proxy.refuse();
    expect(await editing).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    const after = await testLetters(place).get(deadLetterId, { payload: true });
    expect(after).toMatchObject({ ...before, bytes: expect.any(Number), payload: { checkpoint: { state } } });
    expect(after?.bytes).toBeGreaterThan(1000);
  });

  it('is refused where a replay has a job already, as it was', async () => {
    const place = await poisonablePlace();
    const { checkpoint, deadLetterId } = await refusedOne(place);
    let edited: Promise<unknown> = Promise.resolve();
    const redis = clientThat(place, 'confirm', async () => {
      edited = testLetters(place)
        .edit(deadLetterId, { ...checkpoint, state: 'late' })
        .catch((error) => error);
      await edited;
    });
    await testLetters(place, { redis }).replay({ ids: [deadLetterId], wait: false });
    expect(await edited).toMatchObject({ code: 'DEAD_LETTER_BUSY', deadLetterId });
    await place.cure();
    await startWriter(place);
    await testStore(place).flush(checkpoint.executionId);
    expect((await testStore(place).load(checkpoint.id)).state).toEqual({ poison: 1 });
  });
});
