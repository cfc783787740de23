import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeChunk,
  type EncodableRecord,
  encodeChunk,
  executionsOf,
  jobIdOf,
  parseJobId,
  replayJobIdOf,
} from '../src/chunk.js';
import { InvalidChunkError } from '../src/index.js';

function record(executionId: string, bytes: Uint8Array): EncodableRecord {
  return {
    executionId,
    byteLength: bytes.length,
    writeTo: (buffer, offset) => {
      buffer.set(bytes, offset);
    },
  };
}

const executionId = fc.string({ unit: 'binary', minLength: 1, maxLength: 20 });
const records = fc.array(
  fc
    .record({ executionId, body: fc.uint8Array({ maxLength: 40 }) })
    .map((r) => record(r.executionId, r.body)),
  { maxLength: 10 },
);

/** Whether decoding gives a chunk or the one error that it may throw. */
function decodesOrRefuses(payload: Buffer): boolean {
  try {
    decodeChunk(payload);
    return true;
  } catch (error) {
    return error instanceof InvalidChunkError;
  }
}

describe('chunk', () => {
  it('gives back the bodies in their order and each execution once', () => {
    const comesBack = fc.property(records, (given) => {
      const decoded = decodeChunk(encodeChunk(executionsOf(given), given));
      expect(decoded.executions).toEqual([...new Set(given.map((r) => r.executionId))]);
      const bodies = given.map((r) => {
        const body = Buffer.alloc(r.byteLength);
        r.writeTo(body, 0);
        return body;
      });
      expect(decoded.bodies).toEqual(bodies);
    });
    fc.assert(comesBack);
  });

  it('throws InvalidChunkError and nothing else for any bytes', () => {
    const garbage = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes));
    const framed = garbage.map((bytes) => Buffer.concat([Buffer.from([1, 0, 1, 0, 1, 65]), bytes]));
    fc.assert(fc.property(fc.oneof(garbage, framed), decodesOrRefuses), { numRuns: 5000 });
  });

  it('refuses every chunk that was cut short or made longer', () => {
    const cut = fc.property(records, fc.nat(), fc.uint8Array({ minLength: 1 }), (given, at, more) => {
      const payload = encodeChunk(executionsOf(given), given);
      expect(() => decodeChunk(payload.subarray(0, at % payload.length))).toThrow(InvalidChunkError);
      expect(() => decodeChunk(Buffer.concat([payload, more]))).toThrow(InvalidChunkError);
    });
    fc.assert(cut);
  });

  it('stands the change of any byte', () => {
    const changed = fc.property(records, fc.nat(), fc.integer({ min: 1, max: 255 }), (given, at, change) => {
      const payload = encodeChunk(executionsOf(given), given);
      const index = at % payload.length;
      payload[index] = (payload[index] as number) ^ change;
      return decodesOrRefuses(payload);
    });
    fc.assert(changed, { numRuns: 2000 });
  });

  it('refuses the format of another release and says which it is', () => {
    const payload = encodeChunk([], []);
    payload[0] = 2;
    expect(() => decodeChunk(payload)).toThrow('its format is 2, this release reads 1');
  });

  it('carries the first sequence in the job id', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (first) => parseJobId(jobIdOf(first)).firstSequence === first));
    expect(jobIdOf(1732446000000000)).toBe('w-1732446000000000');
  });

  it('carries the sequence and the number of the replay in the job id of a replay', () => {
    expect(parseJobId(replayJobIdOf(1732446000000000, 3))).toEqual({
      firstSequence: 1732446000000000,
      replays: 3,
    });
  });

  it.each([
    undefined,
    '',
    '7',
    'w-',
    'w--1',
    'w-1.5',
    'w-9007199254740993',
    'w-12345678901234567',
    'x-1',
    'd-1',
    'w-1-1',
    'r-1',
    'r-1-',
    'w-1 ',
  ])('finds no sequence in the job id %j', (jobId) => {
    expect(() => parseJobId(jobId)).toThrow(InvalidChunkError);
  });
});
