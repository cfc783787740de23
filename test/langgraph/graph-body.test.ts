import { expect, test } from 'vitest';
import { checkBody, eachRow, identifyBody } from '../../src/langgraph/graph-body.js';
import { GraphRecord, type GraphRow } from '../../src/langgraph/graph-record.js';

const CHECKPOINT: GraphRow = {
  kind: 'checkpoint',
  namespace: '',
  checkpointId: 'c-é€😀',
  parentId: null,
  checkpoint: '{"v":4}',
  metadata: '{"step":"ü"}',
};
const BLOB: GraphRow = {
  kind: 'blob',
  namespace: '',
  channel: 'messages',
  version: '1.5',
  type: 'bytes',
  blob: new Uint8Array(100_000).fill(7),
};
const WRITE: GraphRow = {
  kind: 'write',
  namespace: 'sub:1',
  checkpointId: 'c',
  taskId: 't',
  taskPath: '~__pregel_pull, agent',
  index: -3,
  channel: '__interrupt__',
  type: 'json',
  blob: new TextEncoder().encode('[]'),
};

test('a record holds its rows whole, one that outgrows the buffer it is made in as well', () => {
  const empty: GraphRow = { ...BLOB, type: 'empty', blob: null };
  const body = new GraphRecord('thread-ß', [CHECKPOINT, BLOB, empty, WRITE]).toBuffer();

  const rows: [number, number][] = [];
  eachRow(body, (...row) => rows.push(row));

  checkBody(body);
  expect(rows).toHaveLength(4);
  expect(rows.at(-1)?.[1]).toBe(body.length);
  expect(body.includes(Buffer.from(BLOB.blob as Uint8Array))).toBe(true);
  expect(identifyBody(body)).toEqual({ executionId: 'thread-ß', id: 'c-é€😀' });
});

test('a later record leaves an earlier one as it is', () => {
  const record = new GraphRecord('one', [CHECKPOINT]);
  const before = Buffer.from(record.toBuffer());
  new GraphRecord('two', [{ ...CHECKPOINT, checkpoint: '{"other":true}' }]);

  const buffer = Buffer.alloc(record.byteLength + 2);
  record.writeTo(buffer, 1);

  expect(record.toBuffer()).toEqual(before);
  expect(buffer.subarray(1, -1)).toEqual(before);
});

/** Where a field begins, behind its length. */
function fieldStart(body: Buffer, field: number): number {
  let offset = 4;
  for (let left = field; left > 0; left--) offset += 4 + Math.max(0, body.readInt32BE(offset));
  return offset + 4;
}

test.each<[string, (body: Buffer) => Buffer]>([
  ['is empty', () => Buffer.alloc(0)],
  ['is cut short', (body) => body.subarray(0, -1)],
  ['has a row that is cut short', (body) => Buffer.concat([body, Buffer.from([0, 0])])],
  ['has a row of no kind', (body) => body.fill(9, fieldStart(body, 0), fieldStart(body, 0) + 4)],
  ['has a negative length', (body) => set(body, fieldStart(body, 3) - 4, -2)],
  ['has a length that points outside', (body) => set(body, fieldStart(body, 3) - 4, 1_000_000)],
  ['names no thread', (body) => set(body, fieldStart(body, 1) - 4, -1)],
  ['holds no JSON', (body) => body.fill(2, fieldStart(body, 5), fieldStart(body, 5) + 1)],
  ['has fields too many', (body) => Buffer.concat([set(body, 0, body.length), Buffer.alloc(4)])],
  ['is of two threads', (body) => Buffer.concat([body, new GraphRecord('another', [CHECKPOINT]).toBuffer()])],
])('a body that %s is refused', (_, damage) => {
  const body = new GraphRecord('thread', [CHECKPOINT]).toBuffer();

  expect(() => checkBody(damage(Buffer.from(body)))).toThrow(
    expect.objectContaining({ code: 'INVALID_CHUNK' }),
  );
});

function set(body: Buffer, offset: number, value: number): Buffer {
  body.writeInt32BE(value, offset);
  return body;
}
