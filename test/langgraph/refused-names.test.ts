import { beforeAll, describe, expect, it } from 'vitest';
import { InvalidCheckpointError } from '../../src/index.js';
import type { QueuedPostgresSaver } from '../../src/langgraph/index.js';
import type { Place } from '../store/place.js';
import { rowsOf, tuplesOf } from './place.js';
import { checkpointOf } from './rich-thread.js';
import { onThread } from './scenarios.js';
import { sharedSaver } from './shared-saver.js';

const METADATA = { source: 'loop', step: 0, parents: {} } as const;
const CHECKPOINT = checkpointOf(0, {}, {});

const shared = sharedSaver();
let place: Place;
let saver: QueuedPostgresSaver;
beforeAll(() => {
  ({ place, saver } = shared());
});

function put(configurable: Record<string, unknown>, values: Record<string, unknown> = {}): Promise<unknown> {
  const versions = Object.fromEntries(Object.keys(values).map((channel) => [channel, 1]));
  const checkpoint = { ...CHECKPOINT, channel_values: values, channel_versions: versions };
  return saver.put({ configurable }, checkpoint, METADATA, versions);
}

function putWrites(
  configurable: Record<string, unknown>,
  channel = 'a',
  taskId = 'task',
  path = '',
): Promise<void> {
  return saver.putWrites(
    { configurable: { thread_id: 'refused', checkpoint_id: 'c', ...configurable } },
    [[channel, 1]],
    taskId,
    path,
  );
}

/** Every name that is part of a key, the field that the error names, and the limit of its bytes. */
const NAMES: Array<[what: string, field: string, limit: number, use: (name: string) => Promise<unknown>]> = [
  ['a thread id', 'thread_id', 512, (name) => put({ thread_id: name })],
  ['a namespace', 'checkpoint_ns', 1024, (name) => put({ thread_id: 'refused', checkpoint_ns: name })],
  ['a channel', 'channel', 1024, (name) => put({ thread_id: 'refused' }, { [name]: 1 })],
  ["a parent's id", 'checkpoint_id', 1024, (name) => put({ thread_id: 'refused', checkpoint_id: name })],
  [
    'a checkpoint id',
    'checkpoint.id',
    1024,
    (name) => saver.put(onThread('refused'), { ...CHECKPOINT, id: name }, METADATA, {}),
  ],
  ['a version', 'version', 1024, (name) => saver.put(onThread('refused'), CHECKPOINT, METADATA, { a: name })],
  ['a thread id of writes', 'thread_id', 512, (name) => putWrites({ thread_id: name })],
  ['a namespace of writes', 'checkpoint_ns', 1024, (name) => putWrites({ checkpoint_ns: name })],
  ['a checkpoint id of writes', 'checkpoint_id', 1024, (name) => putWrites({ checkpoint_id: name })],
  ['a channel of writes', 'channel', 1024, (name) => putWrites({}, name)],
  ['a task id', 'taskId', 1024, (name) => putWrites({}, 'a', name)],
  ['a task path', 'taskPath', 1024, (name) => putWrites({}, 'a', 'task', name)],
];

describe('a name', () => {
  const cases = NAMES.flatMap(([what, field, limit, use]) => [
    [`${what} with U+0000`, field, () => use('a\0b')] as const,
    [`${what} with a lone surrogate`, field, () => use('a\ud800')] as const,
    [`${what} of ${limit + 1} bytes`, field, () => use(`${'ü'.repeat(limit / 2)}x`)] as const,
  ]);

  it.each(cases)('such as %s is refused', async (_, field, use) => {
    const error = await use().catch((reason) => reason);
    expect(error).toBeInstanceOf(InvalidCheckpointError);
    expect(error).toMatchObject({ code: 'INVALID_CHECKPOINT', field });
  });

  it('of a channel or a version that holds U+001A is refused, for the JSON of the checkpoint would not name it', async () => {
    const refused = (field: string) => ({ code: 'INVALID_CHECKPOINT', field });
    await expect(put({ thread_id: 'refused' }, { 'a\u001ab': 1 })).rejects.toMatchObject(refused('channel'));
    const versions = { a: '1\u001a' };
    await expect(saver.put(onThread('refused'), CHECKPOINT, METADATA, versions)).rejects.toMatchObject(
      refused('version'),
    );
  });

  it('that is refused leaves nothing, neither there nor in the queue, and harms nothing else', async () => {
    const puts = NAMES.map(([, , , use]) => use('a\0b'));
    const fine = put({ thread_id: 'fine' }, { a: 1 });
    const settled = await Promise.allSettled(puts);
    expect(settled.every(({ status }) => status === 'rejected')).toBe(true);
    await fine;
    expect(await tuplesOf(saver, 'fine')).toMatchObject([{ checkpoint: { channel_values: { a: 1 } } }]);
    await saver.flush();
    expect(await rowsOf(place, 'refused')).toEqual({
      checkpoints: 0,
      checkpoint_blobs: 0,
      checkpoint_writes: 0,
    });
    expect(await place.client.zcard(place.keys.failed)).toBe(0);
  });

  it('of its full length is stored, in all tables at once', async () => {
    const [id, name] = ['ü'.repeat(256), 'ü'.repeat(512)];
    const place_ = { thread_id: id, checkpoint_ns: name };
    const checkpoint = {
      ...CHECKPOINT,
      id: name,
      channel_values: { [name]: 1 },
      channel_versions: { [name]: 1 },
    };
    const config = await saver.put({ configurable: place_ }, checkpoint, METADATA, { [name]: 1 });
    await saver.putWrites(config, [[name, 1]], name, name);
    expect(await saver.getTuple({ configurable: place_ })).toMatchObject({
      checkpoint: { id: name, channel_values: { [name]: 1 } },
      pendingWrites: [[name, name, 1]],
    });
  });

  it('that is missing is told', async () => {
    const missing = (field: string) => ({ code: 'INVALID_CHECKPOINT', field });
    await expect(saver.put({}, CHECKPOINT, METADATA, {})).rejects.toMatchObject(
      missing('config.configurable'),
    );
    await expect(put({})).rejects.toMatchObject(missing('thread_id'));
    await expect(putWrites({ thread_id: '' })).rejects.toMatchObject(missing('thread_id'));
    await expect(putWrites({ checkpoint_id: undefined })).rejects.toMatchObject(missing('checkpoint_id'));
    await expect(put({ thread_id: { an: 'object' } })).rejects.toMatchObject(missing('configurable'));
    await expect(saver.deleteThread('')).rejects.toMatchObject(missing('thread_id'));
    expect(await saver.getTuple({ configurable: {} })).toBeUndefined();
  });

  it('may be a number where it is a thread id', async () => {
    await put({ thread_id: 42 });
    expect(await saver.getTuple(onThread('42'))).toMatchObject({
      config: { configurable: { thread_id: '42' } },
    });
  });
});
