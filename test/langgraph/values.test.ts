import type { PendingWrite, SerializerProtocol } from '@langchain/langgraph-checkpoint';
import { beforeAll, describe, expect, it } from 'vitest';
import type { QueuedPostgresSaver } from '../../src/langgraph/index.js';
import { type Place, testPlace } from '../store/place.js';
import { startGraphWriter } from './graph-writer.js';
import { testSaver, tuplesOf } from './place.js';
import { checkpointOf } from './rich-thread.js';
import { onThread } from './scenarios.js';
import { sharedSaver } from './shared-saver.js';

const METADATA = { source: 'loop', step: 0, parents: {} } as const;

const shared = sharedSaver();
let place: Place;
let saver: QueuedPostgresSaver;
beforeAll(() => {
  ({ place, saver } = shared());
});

/** What JSONB and UTF-8 cannot hold, and what resembles how it is stored instead. */
const TEXTS: Array<[what: string, text: string]> = [
  ['U+0000', 'a\0b\0'],
  ['the escape of U+0000, as text', 'a\\u0000b'],
  ['U+001A', '\u001a0 \u001a\u001a'],
  ['a backslash before U+0000', '\\\0\\\\\0'],
  ['all control characters', Array.from({ length: 32 }, (_, code) => String.fromCharCode(code)).join('')],
  ['characters beyond the first plane', '👋🏽 𝔘 \u{10ffff} \uffff'],
];
/** Neither UTF-8 nor JSONB holds these. */
const LONE: Array<[what: string, text: string]> = [
  ['a lone high surrogate', 'x\ud800y'],
  ['a lone low surrogate', '\udfff'],
  ['surrogates the wrong way round', '\udc00\ud800'],
];

describe('text', () => {
  it.each(TEXTS)(
    'with %s comes back from metadata, values and writes, as value and as key',
    async (what, content) => {
      const config = onThread(`text with ${what}`);
      const value = { [content]: [content, { deep: content }] };
      const checkpoint = checkpointOf(0, { channel: value, plain: content }, { channel: 1, plain: 1 });
      checkpoint.versions_seen = { [content]: { channel: 1 } };
      const metadata = { ...METADATA, note: value, parents: { [content]: content } };
      const put = await saver.put(config, checkpoint, metadata, { channel: 1, plain: 1 });
      await saver.putWrites(put, [['channel', value]], 'task');
      const tuple = await saver.getTuple(config);
      expect(tuple).toMatchObject({ checkpoint, metadata, pendingWrites: [['task', 'channel', value]] });
      expect(tuple?.checkpoint.channel_values).toEqual({ channel: value, plain: content });
      expect(await tuplesOf(saver, config.configurable?.thread_id)).toEqual([tuple]);
    },
  );

  it.each([...TEXTS, ...LONE])('with %s in the metadata is found by a filter, alone', async (_, text) => {
    const threadId = 'filtered';
    await saver.deleteThread(threadId);
    const contents = [text, `${text}!`, text.replaceAll('\0', ''), 'other'];
    for (const [step, note] of contents.entries()) {
      const metadata = { ...METADATA, step, note, nested: { [text]: note } };
      await saver.put(onThread(threadId), checkpointOf(step, {}, {}), metadata, {});
    }
    const expected = contents.flatMap((content, step) => (content === text ? [step] : []));
    for (const filter of [{ note: text }, { nested: { [text]: text } }]) {
      const found: unknown[] = [];
      for await (const { metadata } of saver.list(onThread(threadId), { filter }))
        found.unshift(metadata?.step);
      expect(found).toEqual(expected);
    }
  });
});

describe('a state that is changed right after the call', () => {
  it('is stored as it was at the call: objects, bytes, metadata and writes', async () => {
    const config = onThread('snapshot');
    const [list, bytes, buffer] = [['before'], new Uint8Array([1, 2, 3]), Buffer.from([1, 2, 3])];
    const whole = new Uint8Array([0, 1, 2, 3]);
    const view = whole.subarray(1);
    const checkpoint = checkpointOf(0, { list, bytes, view }, { list: 1, bytes: 1, view: 1 });
    const metadata = { ...METADATA, tags: ['before'] };
    const newVersions: Record<string, number> = { list: 1, bytes: 1, view: 1 };
    const writes: PendingWrite[] = [
      ['list', list],
      ['bytes', bytes],
      ['buffer', buffer],
    ];
    const at = onThread('snapshot', { checkpoint_ns: '', checkpoint_id: checkpoint.id });
    const putting = saver.put(config, checkpoint, metadata, newVersions);
    const writing = saver.putWrites(at, writes, 'task');
    list.push('after');
    for (const some of [bytes, whole, buffer]) some.fill(9);
    metadata.tags.push('after');
    checkpoint.channel_versions.list = 99;
    delete newVersions.list;
    writes.pop();
    await Promise.all([putting, writing]);
    const found = await saver.getTuple(config);
    const same = new Uint8Array([1, 2, 3]);
    expect(found?.checkpoint.channel_values).toEqual({ list: ['before'], bytes: same, view: same });
    expect(found?.metadata).toMatchObject({ tags: ['before'] });
    expect(found?.pendingWrites).toEqual([
      ['task', 'list', ['before']],
      ['task', 'bytes', same],
      ['task', 'buffer', same],
    ]);
  });

  it('that was read belongs to the reader', async () => {
    const config = onThread('own');
    await saver.put(config, checkpointOf(0, { bytes: new Uint8Array(3) }, { bytes: 1 }), METADATA, {
      bytes: 1,
    });
    const [one, other] = [await saver.getTuple(config), await saver.getTuple(config)];
    const bytes = one?.checkpoint.channel_values.bytes as Uint8Array;
    expect(bytes.buffer.byteLength).toBe(3);
    bytes.fill(9);
    expect(other?.checkpoint.channel_values.bytes).toEqual(new Uint8Array(3));
  });
});

describe('what is too large for Redis', () => {
  const HUGE = 'ü'.repeat(1_500_000);

  it('goes straight to PostgreSQL and is there at once, without any writer', async () => {
    const own = await testPlace();
    const direct = testSaver(own, { consistency: 'committed' });
    const config = onThread('huge');
    const put = await direct.put(config, checkpointOf(0, { text: HUGE }, { text: 1 }), METADATA, { text: 1 });
    await direct.putWrites(put, [['text', HUGE]], 'task');
    expect(await own.client.keys(`${own.keys.jobPrefix}*w-*`)).toEqual([]);
    const found = await direct.getTuple(config);
    expect(found?.checkpoint.channel_values.text).toBe(HUGE);
    expect(found?.pendingWrites).toEqual([['task', 'text', HUGE]]);
  });

  it('has its place in the order of what is queued', async () => {
    const own = await testPlace();
    const both = testSaver(own);
    const config = onThread('order');
    const checkpoint = checkpointOf(0, { text: 'small' }, { text: 1 });
    await both.put(config, checkpoint, { ...METADATA, step: 1 }, { text: 1 });
    await both.put(
      config,
      { ...checkpoint, channel_values: { text: HUGE } },
      { ...METADATA, step: 2 },
      { text: 2 },
    );
    await both.put(config, checkpoint, { ...METADATA, step: 3 }, { text: 3 });
    await startGraphWriter(own);
    expect((await both.getTuple(config))?.metadata).toMatchObject({ step: 3 });
  });
});

/** Not JSON for values; numbers its formats. */
const reversing: SerializerProtocol = {
  dumpsTyped: async (data: unknown) => {
    const isMetadata = typeof data === 'object' && data !== null && 'source' in data;
    const json = Buffer.from(JSON.stringify(data));
    return isMetadata ? ['json', json] : ['reversed', json.reverse()];
  },
  loadsTyped: async (type: string, data: Uint8Array | string) => {
    const bytes = Buffer.from(data as Uint8Array);
    return JSON.parse((type === 'reversed' ? bytes.reverse() : bytes).toString());
  },
};

it('the next version of a channel is in the next whole number, and no other branch has it', () => {
  const versions = Array.from({ length: 100 }, () => saver.getNextVersion(3.75));
  expect(new Set(versions).size).toBe(100);
  expect(new Set(versions.map(Math.floor))).toEqual(new Set([4]));
  expect(Math.floor(saver.getNextVersion(undefined))).toBe(1);
  // As Python's LangGraph counts: nothing that can be counted on.
  expect(() => saver.getNextVersion('00001.0' as never)).toThrow();
});

describe('a serialiser of one’s own', () => {
  it('is asked for values, writes and metadata', async () => {
    const own = testSaver(place, { serde: reversing });
    const config = onThread('custom');
    const put = await own.put(config, checkpointOf(0, { a: { b: 1 } }, { a: 1 }), METADATA, { a: 1 });
    await own.putWrites(put, [['a', [1, 2]]], 'task');
    expect(await own.getTuple(config)).toMatchObject({
      checkpoint: { channel_values: { a: { b: 1 } } },
      metadata: METADATA,
      pendingWrites: [['task', 'a', [1, 2]]],
    });
    const { rows } = await place.pool.query(
      `SELECT type FROM ${place.schema}.checkpoint_blobs WHERE thread_id = 'custom'`,
    );
    expect(rows).toEqual([{ type: 'reversed' }]);
  });

  it('that makes no JSON of metadata is refused, and the metadata is not told', async () => {
    const serde = { ...reversing, dumpsTyped: async () => ['raw', Buffer.from('a secret')] as never };
    const own = testSaver(place, { serde });
    const error = await own
      .put(onThread('raw'), checkpointOf(0, {}, {}), METADATA, {})
      .catch((reason) => reason);
    expect(error).toMatchObject({ code: 'INVALID_CHECKPOINT', field: 'metadata' });
    expect(`${error.stack}${JSON.stringify(error)}`).not.toContain('secret');
  });

  it('that throws rejects the call, and the next one is stored', async () => {
    let broken = true;
    const dumpsTyped: SerializerProtocol['dumpsTyped'] = async (data) => {
      if (broken) throw new Error('broken');
      return reversing.dumpsTyped(data);
    };
    const own = testSaver(place, { serde: { ...reversing, dumpsTyped } });
    const put = () => own.put(onThread('broken'), checkpointOf(0, { a: 1 }, { a: 1 }), METADATA, { a: 1 });
    await expect(put()).rejects.toThrow('broken');
    expect(await own.getTuple(onThread('broken'))).toBeUndefined();
    broken = false;
    await put();
    expect((await own.getTuple(onThread('broken')))?.checkpoint.channel_values).toEqual({ a: 1 });
  });
});
