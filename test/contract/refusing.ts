import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import type { CheckpointInput } from '../../src/index.js';
import type { StoreUnderTest } from './checkpoint-store.js';
import { newCheckpoint, newExecution } from './checkpoints.js';

const SECRET = 'secret-of-the-state';

function circular(): object {
  const value: Record<string, unknown> = { [SECRET]: 1 };
  value[SECRET] = value;
  return value;
}

/** What is wrong, what is given instead of a good field, and the field that the error must name. */
const BAD_FIELDS: Array<[what: string, field: keyof CheckpointInput, value: unknown]> = [
  ['a missing id', 'id', undefined],
  ['null as id', 'id', null],
  ['a number as id', 'id', 7],
  ['an empty id', 'id', ''],
  ['an id of 513 bytes', 'id', 'x'.repeat(513)],
  ['an id of 129 emoji, 516 bytes', 'id', '😀'.repeat(129)],
  ['U+0000 in the id', 'id', 'a\0b'],
  ['a lone high surrogate in the id', 'id', 'a\ud83d'],
  ['a lone low surrogate in the id', 'id', '\ude00a'],
  ['a missing execution', 'executionId', undefined],
  ['an empty execution', 'executionId', ''],
  ['an object as execution', 'executionId', {}],
  ['U+0000 in the execution', 'executionId', '\0'],
  ['a lone surrogate in the execution', 'executionId', '\udfff'],
  ['an execution of 513 bytes', 'executionId', 'x'.repeat(513)],
  ['a missing node name', 'nodeName', undefined],
  ['a boolean as node name', 'nodeName', true],
  ['U+0000 in the node name', 'nodeName', 'a\0'],
  ['a lone surrogate in the node name', 'nodeName', '\ud800'],
  ['a node name of 513 bytes', 'nodeName', `${'é'.repeat(256)}x`],
  ['an undefined state', 'state', undefined],
  ['a function as state', 'state', () => SECRET],
  ['a symbol as state', 'state', Symbol(SECRET)],
  ['a BigInt in the state', 'state', { [SECRET]: 1n }],
  ['a circular state', 'state', circular()],
  ['a state whose toJSON throws', 'state', { toJSON: () => fail() }],
  ['a state whose toJSON gives nothing', 'state', { toJSON: () => undefined }],
  ['a state nested too deeply', 'state', nested(100_000)],
  ['a list as metadata', 'metadata', [SECRET]],
  ['a string as metadata', 'metadata', SECRET],
  ['a BigInt in the metadata', 'metadata', { [SECRET]: 1n }],
  ['circular metadata', 'metadata', circular()],
  ['metadata that JSON makes a string of', 'metadata', new Date(0)],
  ['an invalid date', 'timestamp', new Date(Number.NaN)],
  ['a number as timestamp', 'timestamp', 0],
  ['a string as timestamp', 'timestamp', '2024-01-01'],
  ['a date before 4713 BC', 'timestamp', new Date(Date.UTC(-4712, 0, 1) - 1)],
  ['a fractional version', 'version', 1.5],
  ['a negative version', 'version', -1],
  ['a version of 2^31', 'version', 2 ** 31],
  ['a version that is not a number', 'version', Number.NaN],
  ['an endless version', 'version', Number.POSITIVE_INFINITY],
  ['a string as version', 'version', '1'],
];

function fail(): never {
  throw new Error(SECRET);
}

function nested(depth: number): unknown {
  let value: unknown = SECRET;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

export function itRefuses(underTest: StoreUnderTest): void {
  it.each(BAD_FIELDS)('refuses %s before anything is stored', async (_, field, value) => {
    const { store, settle } = underTest;
    const good = newCheckpoint();
    const bad = { ...newCheckpoint({ executionId: good.executionId }), [field]: value } as CheckpointInput;
    for (const saving of [store.save(bad), store.saveBatch([good, bad])]) {
      const error: unknown = await saving.then(
        () => undefined,
        (reason) => reason,
      );
      expect(error).toMatchObject({ name: 'InvalidCheckpointError', code: 'INVALID_CHECKPOINT', field });
      expect((error as Error).message).toContain(field);
      expect(inspect(error, { depth: 9 })).not.toContain(SECRET);
    }
    await settle();
    expect(await store.list(good.executionId)).toEqual([]);
  });

  it.each([undefined, null, 'text', 7])('refuses %j instead of a checkpoint', async (value) => {
    const { store } = underTest;
    const refused = { code: 'INVALID_CHECKPOINT', field: 'checkpoint' };
    await expect(store.save(value as unknown as CheckpointInput)).rejects.toMatchObject(refused);
    await expect(store.saveBatch([value as unknown as CheckpointInput])).rejects.toMatchObject(refused);
  });

  it('refuses a field that no checkpoint has, before anything is stored', async () => {
    const { store, settle } = underTest;
    const { executionId, ...rest } = newCheckpoint();
    const bad = { ...rest, exectionId: executionId } as CheckpointInput;
    for (const saving of [store.save(bad), store.saveBatch([bad]), store.save(bad, { expectedVersion: 0 })]) {
      await expect(saving).rejects.toMatchObject({
        code: 'INVALID_CHECKPOINT',
        field: '"exectionId"',
        id: rest.id,
        message: expect.stringContaining('did you mean executionId?'),
      });
    }
    await settle();
    expect(await store.list(executionId as string)).toEqual([]);
    const inherited = Object.assign(Object.create({ colour: 'red' }), newCheckpoint({ executionId }));
    await store.save({ ...inherited, colour: undefined });
    await store.save(inherited);
  });

  it.each<[method: 'save' | 'saveBatch' | 'load' | 'latest' | 'list', options: unknown, field: string]>([
    ['save', { akc: 'committed' }, '"akc"'],
    ['save', { ack: 'comitted' }, 'ack'],
    ['save', null, 'options'],
    ['save', 'committed', 'options'],
    ['saveBatch', { expectedVersion: 0 }, '"expectedVersion"'],
    ['saveBatch', { ack: true }, 'ack'],
    ['load', { consistancy: 'latest' }, '"consistancy"'],
    ['load', { consistency: 'newest' }, 'consistency'],
    ['latest', { timeout: 1 }, '"timeout"'],
    ['latest', [], 'options'],
    ['list', { limt: 1 }, '"limt"'],
    ['list', null, 'options'],
  ])('%s refuses the options %j', async (method, options, field) => {
    const { store } = underTest;
    const checkpoint = newCheckpoint();
    const subject = { save: checkpoint, saveBatch: [checkpoint], load: 'a', latest: 'a', list: 'a' }[method];
    const call = (store[method] as (...args: unknown[]) => Promise<unknown>)(subject, options);
    await expect(call).rejects.toMatchObject({ code: 'INVALID_CONFIG', field });
    expect(await store.list(checkpoint.executionId as string)).toEqual([]);
  });

  it('refuses what is no list of checkpoints', async () => {
    for (const value of [undefined, {}, newCheckpoint()]) {
      const saving = underTest.store.saveBatch(value as never);
      await expect(saving).rejects.toMatchObject({ code: 'INVALID_CHECKPOINT', field: 'checkpoints' });
    }
  });

  it('refuses an execution in the metadata that is not a name', async () => {
    const { id } = newCheckpoint();
    for (const execution_id of [7, '', 'a\0b', `${newExecution()}\ud800`]) {
      const saving = underTest.store.save({ id, nodeName: '', state: 0, metadata: { execution_id } });
      await expect(saving).rejects.toMatchObject({ code: 'INVALID_CHECKPOINT', field: 'executionId', id });
    }
  });

  it('says of which checkpoint the field is', async () => {
    const checkpoint = newCheckpoint({ version: -1 });
    await expect(underTest.store.save(checkpoint)).rejects.toMatchObject({ id: checkpoint.id });
  });
}
