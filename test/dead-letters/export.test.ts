import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bodyOf } from '../../src/dead-letters/dead-letter.js';
import { type DeadLetterLine, type DeadLetters, InvalidDeadLetterError } from '../../src/index.js';
import { deadLetterKeys } from '../../src/redis/queue-keys.js';
import { type Place, startWriter } from '../store/place.js';
import { forgedLine, poisonablePlace, refused, refusedOne, testLetters } from './letters.js';

async function exported(letters: DeadLetters, filter = {}): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of letters.export(filter)) lines.push(JSON.stringify(line));
  return lines;
}

/** All that Redis holds of the dead letters, payloads as bytes. */
async function contents({ client, keys }: Place): Promise<unknown[]> {
  const dead = deadLetterKeys(keys);
  const ids = await client.zrange(dead.chunks, 0, '-1', 'WITHSCORES');
  const letters = ids.filter((id) => id.startsWith('d-'));
  const kept = letters.map(async (id) => [
    id,
    JSON.parse((await client.hget(dead.jobPrefix + id, 'data')) ?? 'null'),
    (await client.getBuffer(dead.payloadPrefix + id))?.toString('hex'),
  ]);
  return [ids, (await client.zrange(dead.marks, 0, '-1')).sort(), await Promise.all(kept)];
}

describe('an export', () => {
  it('comes back as it was, to the byte, and can be replayed', async () => {
    const place = await poisonablePlace();
    await refused(place, [
      { state: { poison: '\0 \ud800 \u001a \u001a0 \\u0000 𝒳', '\0': 1 }, metadata: { m: '\udc00' } },
      { state: { poison: -0, deep: [[[1e21, 0.1, true, null, 'é']]] }, version: 0 },
      { timestamp: new Date(Date.UTC(-4000, 5, 5)), state: { poison: { b: 1, 10: 2, 9: 3, __proto__: 4 } } },
      { timestamp: new Date(Date.UTC(12_000, 5, 5)), metadata: {} },
    ]);
    const letters = testLetters(place);
    const before = await contents(place);
    const lines = await exported(letters);
    expect(lines).toHaveLength(4);
    for (const line of lines) expect(JSON.parse(line)).toHaveProperty('checkpoint.state.poison');
    expect(await letters.purge({ all: true })).toBe(4);
    expect(await letters.import(lines)).toEqual({ imported: 4, existing: 0 });
    expect(await contents(place)).toEqual(before);
    expect(await letters.import(lines)).toEqual({ imported: 0, existing: 4 });
    expect(await contents(place)).toEqual(before);
    await place.cure();
    await startWriter(place);
    expect(await letters.replay({ all: true })).toMatchObject({ replayed: 4, committed: 4 });
  });

  it('of any JSON comes back as it was', async () => {
    const place = await poisonablePlace();
    const letters = testLetters(place);
    await fc.assert(
      fc.asyncProperty(fc.json(), fc.string({ unit: 'binary' }), async (json, text) => {
        const state = { json: JSON.parse(json), text };
        const checkpoint = {
          nodeName: '',
          state,
          metadata: null,
          timestamp: '2026-01-01T00:00:00.000Z',
          version: 1,
        };
        await letters.import([forgedLine(place, { checkpoint } as Partial<DeadLetterLine>)]);
        const before = await contents(place);
        const lines = await exported(letters);
        await letters.purge({ all: true });
        await letters.import(lines);
        expect(await contents(place)).toEqual(before);
        await letters.purge({ all: true });
      }),
      { numRuns: 30 },
    );
  });

  it.each<[string, (body: Buffer) => Buffer]>([
    ['text that is no UTF-8', (body) => replaced(body, 'poison', Buffer.from('p\xff\xfeson', 'latin1'))],
    ['JSON that is none', (body) => replaced(body, '{"poison"', Buffer.from(' {"oison"'))],
    [
      'JSON as no store of ours writes it',
      (body) => replaced(body, '"poison":1}', Buffer.from('"pois":1.0}')),
    ],
    ['JSON with white space', (body) => replaced(body, '{"poison":1}', Buffer.from('{"poisn": 1}'))],
    ['microseconds', (body) => Buffer.concat([body.subarray(0, -9), Buffer.from([1]), body.subarray(-8)])],
  ])('carries %s as bytes', async (_, change) => {
    const place = await poisonablePlace();
    const { deadLetterId } = await refusedOne(place);
    const dead = deadLetterKeys(place.keys);
    const payload = await place.client.getBuffer(dead.payloadPrefix + deadLetterId);
    await place.client.set(dead.payloadPrefix + deadLetterId, change(payload as Buffer));
    const letters = testLetters(place);
    const before = await contents(place);
    const lines = await exported(letters);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ deadLetterId, body: expect.any(String) }]);
    await letters.purge({ all: true });
    await letters.import(lines);
    expect(await contents(place)).toEqual(before);
  });

  it('carries what only its sink understands', async () => {
    const place = await poisonablePlace();
    const letters = testLetters(place);
    const { checkpoint: _, ...line } = forgedLine(place, { sink: 'other' }) as { checkpoint: unknown };
    const given = { ...line, body: Buffer.from([0, 255, 1]).toString('base64') };
    await letters.import([given]);
    expect((await exported(letters)).map((text) => JSON.parse(text))).toEqual([given]);
    const [letter] = await letters.list();
    expect((await letters.get(letter?.deadLetterId as string, { payload: true }))?.payload).toEqual({
      kind: 'raw',
      body: Buffer.from([0, 255, 1]),
    });
  });

  it('is filtered', async () => {
    const place = await poisonablePlace();
    const letters = testLetters(place);
    await letters.import(
      [1, 2].map((sequence) => forgedLine(place, { sequence, executionId: `e${sequence}` })),
    );
    expect(await exported(letters, { executionId: 'e2' })).toHaveLength(1);
    await expect(exported(letters, { execution: 'e2' })).rejects.toMatchObject({ code: 'INVALID_FILTER' });
  });
});

describe('an import', () => {
  const SECRET = 'secret-of-the-line';
  it.each<[string, (line: DeadLetterLine) => unknown]>([
    ['line', () => `not json ${SECRET}`],
    ['line', () => [SECRET]],
    ['line', () => null],
    ['deadLetterId', (line) => ({ ...line, deadLetterId: `d-${SECRET}` })],
    ['deadLetterId', (line) => ({ ...line, replays: 1 })],
    ['sequence', (line) => ({ ...line, sequence: SECRET })],
    ['sequence', (line) => ({ ...line, sequence: 2 ** 53 })],
    ['replays', (line) => ({ ...line, replays: -1 })],
    ['id', (line) => ({ ...line, id: '' })],
    ['executionId', (line) => ({ ...line, executionId: `${SECRET}\0` })],
    ['sqlState', (line) => ({ ...line, sqlState: SECRET })],
    ['reason', ({ reason: _, ...line }) => line],
    ['firstFailedAt', (line) => ({ ...line, firstFailedAt: SECRET })],
    ['lastFailedAt', (line) => ({ ...line, lastFailedAt: '2026-99-01T' })],
    ['jobId', (line) => ({ ...line, jobId: '' })],
    ['worker', (line) => ({ ...line, worker: 1 })],
    ['sink', (line) => ({ ...line, sink: `a b ${SECRET}` })],
    ['target', (line) => ({ ...line, target: 7 })],
    ['checkpoint', (line) => ({ ...line, checkpoint: undefined })],
    ['checkpoint', (line) => ({ ...line, body: 'AAAA' })],
    ['checkpoint', (line) => ({ ...line, checkpoint: SECRET })],
    ['checkpoint', (line) => ({ ...line, sink: 'other' })],
    ['checkpoint.state', (line) => ({ ...line, checkpoint: { nodeName: '' } })],
    [
      'checkpoint.timestamp',
      (line) => ({ ...line, checkpoint: { nodeName: '', state: 1, timestamp: SECRET } }),
    ],
    ['body', (line) => ({ ...line, checkpoint: undefined, body: SECRET })],
    ['body', (line) => ({ ...line, checkpoint: undefined, body: 'AAAA' })],
  ])(
    'refuses a line with a bad %s by its number and the field, repeats nothing of it, and keeps the lines before it',
    async (field, change) => {
      const place = await poisonablePlace();
      const letters = testLetters(place);
      const good = [1, 2].map((sequence) => forgedLine(place, { sequence }));
      const lines = [good[0], '', JSON.stringify(good[1]), change(forgedLine(place, { sequence: 3 }))];
      const error: unknown = await letters.import(lines).catch((reason) => reason);
      expect(error).toBeInstanceOf(InvalidDeadLetterError);
      expect(error).toMatchObject({ code: 'INVALID_DEAD_LETTER', line: 4, field });
      expect(JSON.stringify([error, (error as Error).message, (error as Error).cause])).not.toContain(SECRET);
      expect(await letters.count()).toBe(2);
    },
  );

  it('does not take the record of another checkpoint', async () => {
    const place = await poisonablePlace();
    const letters = testLetters(place);
    const { deadLetterId } = await refusedOne(place);
    const chunk = await place.client.getBuffer(deadLetterKeys(place.keys).payloadPrefix + deadLetterId);
    const body = bodyOf(chunk as Buffer).toString('base64');
    const line = { ...forgedLine(place), checkpoint: undefined, body };
    await expect(letters.import([line])).rejects.toMatchObject({ field: 'body', line: 1 });
  });
});

/** The bytes with a part of the same length exchanged. */
function replaced(bytes: Buffer, part: string, other: Buffer): Buffer {
  const at = bytes.indexOf(part);
  expect(at).toBeGreaterThan(0);
  expect(other.length).toBe(Buffer.byteLength(part));
  return Buffer.concat([bytes.subarray(0, at), other, bytes.subarray(at + other.length)]);
}
