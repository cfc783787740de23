import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { serializeCheckpoint } from '../../src/checkpoint.js';
import { InvalidChunkError } from '../../src/index.js';
import { CheckpointRow, identifyRow } from '../../src/writer/checkpoint-row.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { jsonValue } from '../contract/json-values.js';

const names = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 30 })
  .map((text) => text.replaceAll('\0', '-'));
const rows = fc
  .record({
    id: names,
    nodeName: names,
    state: jsonValue(),
    metadata: fc.constantFrom(null, { a: 'é' }),
    version: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  })
  .map((fields) => new CheckpointRow(serializeCheckpoint({ ...fields, executionId: 'e' })));

function identifiesOrRefuses(body: Buffer): boolean {
  try {
    identifyRow(body);
    return true;
  } catch (error) {
    return error instanceof InvalidChunkError;
  }
}

describe('the body of a checkpoint', () => {
  it('has the length that was foretold, and tells id and version', () => {
    const told = fc.property(rows, (row) => {
      const buffer = Buffer.alloc(row.byteLength + 8, 0xee);
      row.writeTo(buffer, 4);
      const body = buffer.subarray(4, -4);
      expect(body).toEqual(row.toBuffer());
      expect([...buffer.subarray(0, 4), ...buffer.subarray(-4)]).toEqual(Array(8).fill(0xee));
      const { id, version } = row.checkpoint;
      expect(identifyRow(body)).toEqual({ key: Buffer.from(id).toString('latin1'), version });
    });
    fc.assert(told, { numRuns: 500 });
  });

  it('has the same key exactly for the same id', () => {
    const keyOf = (id: string) => identifyRow(new CheckpointRow(serialized(id)).toBuffer()).key;
    const sameKey = fc.property(names, names, (a, b) => (a === b) === (keyOf(a) === keyOf(b)));
    fc.assert(sameKey, { numRuns: 500 });
  });

  it('is refused with InvalidChunkError and nothing else where it is none', () => {
    const bytes = fc.uint8Array({ maxLength: 80 }).map((array) => Buffer.from(array));
    const small = fc.array(fc.integer({ min: -2, max: 9 }), { maxLength: 12 }).map((lengths) =>
      Buffer.concat(
        lengths.map((length) => {
          const field = Buffer.alloc(4 + Math.max(0, length), 1);
          field.writeInt32BE(length);
          return field;
        }),
      ),
    );
    fc.assert(fc.property(fc.oneof(bytes, small), identifiesOrRefuses), { numRuns: 5000 });
  });

  it('is refused where any of its bytes is missing or one is added', () => {
    const cut = fc.property(rows, fc.nat(), (row, at) => {
      const body = row.toBuffer();
      expect(() => identifyRow(body.subarray(0, at % body.length))).toThrow(InvalidChunkError);
      expect(() => identifyRow(Buffer.concat([body, Buffer.alloc(1)]))).toThrow(InvalidChunkError);
    });
    fc.assert(cut, { numRuns: 500 });
  });
});

function serialized(id: string) {
  return serializeCheckpoint(newCheckpoint({ id }));
}
