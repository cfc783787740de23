import { emptyCheckpoint, JsonPlusSerializer, type PendingWrite } from '@langchain/langgraph-checkpoint';
import { expect, test } from 'vitest';
import { GraphEncoder } from '../../src/langgraph/graph-encoder.js';

const PLACE = { threadId: 'thread', namespace: '', parentId: undefined, checkpointId: 'c' };

function encoder(): GraphEncoder {
  return new GraphEncoder(new JsonPlusSerializer());
}

test('what a caller changes after the call is not in the record: values, versions, metadata and writes', async () => {
  const put = () => {
    const checkpoint = {
      ...emptyCheckpoint(),
      id: 'c',
      ts: 't',
      channel_values: { a: { list: [1] }, b: new Uint8Array([1]) },
    };
    const metadata = { source: 'loop', step: 1, parents: {} } as const;
    return {
      checkpoint,
      metadata: { ...metadata } as typeof metadata & { note?: string },
      versions: { a: 1, b: 2 } as Record<string, number>,
    };
  };
  const written = { list: [1] };
  const writes: PendingWrite[] = [['a', written]];
  const untouched = put();
  const expected = [
    await encoder().checkpoint(PLACE, untouched.checkpoint, untouched.metadata, untouched.versions),
    await encoder().writes(PLACE, structuredClone(writes), 'task', ''),
  ].map((record) => record.toBuffer());

  const { checkpoint, metadata, versions } = put();
  const records = [
    encoder().checkpoint(PLACE, checkpoint, metadata, versions),
    encoder().writes(PLACE, writes, 'task', ''),
  ];
  checkpoint.channel_values.a.list.push(2);
  checkpoint.channel_values.b[0] = 9;
  checkpoint.ts = 'later';
  metadata.note = 'later';
  versions.a = 3;
  versions.c = 1;
  written.list.push(2);
  writes[0] = ['other', 1];
  writes.push(['b', 1]);

  expect((await Promise.all(records)).map((record) => record.toBuffer())).toEqual(expected);
});

test('metadata that the serialiser makes no JSON of is refused, and not quoted', async () => {
  const bytes = new TextEncoder().encode('secret');
  const serde = { dumpsTyped: async () => ['odd', bytes], loadsTyped: async () => undefined };
  const refused = new GraphEncoder(serde as never).checkpoint(PLACE, emptyCheckpoint(), {} as never, {});

  const error = await refused.catch((reason) => reason);

  expect(error).toMatchObject({ code: 'INVALID_CHECKPOINT', field: 'metadata' });
  expect(String(error)).not.toContain('secret');
});
