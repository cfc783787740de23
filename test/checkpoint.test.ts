import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  deserializeCheckpoint,
  MAX_NAME_BYTES,
  MAX_VERSION,
  serializeCheckpoint,
  validName,
} from '../src/checkpoint.js';
import { InvalidCheckpointError } from '../src/index.js';
import { jsonValue, trickyText } from './contract/json-values.js';

// What every store refuses and accepts is in the contract suite; this is about the rest.
describe('serializeCheckpoint', () => {
  it('is undone by deserializeCheckpoint', () => {
    const checkpoint = fc.record({
      id: name(),
      executionId: name(),
      nodeName: name(),
      state: jsonValue(),
      metadata: fc.option(fc.dictionary(trickyText(), jsonValue(), { noNullPrototype: true })),
      timestamp: fc.date({ min: new Date(Date.UTC(-4712, 0, 1)), noInvalidDate: true }),
      version: fc.integer({ min: 0, max: MAX_VERSION }),
    });
    fc.assert(
      fc.property(checkpoint, (given) => {
        const { state, metadata, ...rest } = given;
        const asJson = JSON.parse(JSON.stringify({ state, metadata }));
        expect(deserializeCheckpoint(serializeCheckpoint(given))).toStrictEqual({ ...rest, ...asJson });
      }),
    );
  });

  it('reads each getter and calls each toJSON once', () => {
    let reads = 0;
    let calls = 0;
    const state = {
      get field() {
        return ++reads;
      },
      toJSON() {
        calls++;
        return { field: this.field };
      },
    };
    serializeCheckpoint({ id: 'a', executionId: 'e', nodeName: 'n', state });
    expect({ reads, calls }).toEqual({ reads: 1, calls: 1 });
  });

  it('reads a timestamp as the Date that it is, whatever its methods answer, and refuses what only looks like one', () => {
    class Hostile extends Date {
      override getTime(): number {
        return 'not a number' as unknown as number;
      }
    }
    const given = { id: 'a', executionId: 'e', nodeName: 'n', state: 0 };
    expect(serializeCheckpoint({ ...given, timestamp: new Hostile(5) }).timestamp).toEqual(new Date(5));
    expect(() => serializeCheckpoint({ ...given, timestamp: Object.create(Date.prototype) })).toThrow(
      expect.objectContaining({ code: 'INVALID_CHECKPOINT', field: 'timestamp' }),
    );
  });

  it('keeps a timestamp of its own', () => {
    const timestamp = new Date(1);
    const serialized = serializeCheckpoint({ id: 'a', executionId: 'e', nodeName: 'n', state: 0, timestamp });
    timestamp.setTime(2);
    expect(serialized.timestamp).toEqual(new Date(1));
  });
});

describe('validName', () => {
  it('takes exactly the strings that PostgreSQL and the index can hold', () => {
    const anyText = fc.oneof(
      trickyText(),
      fc.string({ unit: fc.constant('é'), minLength: 250, maxLength: 260 }),
    );
    fc.assert(
      fc.property(anyText, (text) => {
        const isUtf8 = Buffer.from(text).toString() === text;
        const holdable = text !== '' && !text.includes('\0') && isUtf8;
        const valid = holdable && Buffer.byteLength(text) <= MAX_NAME_BYTES;
        if (valid) expect(validName('id', text)).toBe(text);
        else expect(() => validName('id', text)).toThrow(InvalidCheckpointError);
      }),
      { numRuns: 2000 },
    );
  });

  it('says what is wrong without repeating the name', () => {
    expect(() => validName('id', `hidden\0`)).toThrow(/^Invalid checkpoint: id must not hold U\+0000$/);
    expect(() => validName('id', 'x'.repeat(513))).toThrow('id has 513 bytes; 512 is the limit');
  });
});

function name(): fc.Arbitrary<string> {
  return fc
    .string({ unit: 'binary', minLength: 1, maxLength: 100 })
    .map((text) => text.replaceAll('\0', '-'));
}
