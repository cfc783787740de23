import { fileURLToPath } from 'node:url';
import { expect, it, vi } from 'vitest';
import { resultOf, spawnForTest } from '../child-process.js';
import { startGraphWriter } from '../langgraph/graph-writer.js';
import type { Burst, BurstKind, BurstResult } from './burst-process.js';
import { type Place, startWriter, testPlace, testStore } from './place.js';

const PROGRAM = fileURLToPath(new URL('./burst-process.ts', import.meta.url));
/** With what the program itself takes, there is room for the default `maxPendingBytes`, 64 MiB, and not for twice that. */
const HEAP_MB = 128;
/** Of 64 MiB there are up to three copies at a time, outside of the heap: serialised, in a chunk, in a socket. */
const MAX_GROWTH_BYTES = 384 * 1024 * 1024;
const MIB = 1024 * 1024;
const TIMEOUT_MS = 240_000;
const LATEST = { consistency: 'latest', timeoutMs: 60_000 } as const;

async function burst(
  { redis, postgres, schema, queue }: Place,
  given: Omit<Burst, 'options'>,
): Promise<BurstResult> {
  const argument: Burst = { ...given, options: { redis, postgres, schema, queue } };
  const flags = [`--max-old-space-size=${HEAP_MB}`, '--import', 'tsx'];
  const child = spawnForTest(process.execPath, [...flags, PROGRAM, JSON.stringify(argument)]);
  const { code, stdout, stderr } = await resultOf(child);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

const CHECKPOINTS = 'SELECT id AS number FROM checkpoints';
const NODES = 'SELECT node_name AS number FROM checkpoints';
const THREADS = 'SELECT thread_id AS number FROM checkpoints';
const WRITES = 'SELECT thread_id AS number FROM checkpoint_writes';

it.each<[kind: BurstKind, what: string, count: number, text: string, times: number, stored: string]>([
  ['save', '500 times 1 MiB', 500, 'x', MIB - 200, CHECKPOINTS],
  [
    'save',
    '500 times 1 MiB that V8 keeps as two bytes a character',
    500,
    `${'x'.repeat(99)}→`,
    10_000,
    CHECKPOINTS,
  ],
  ['save', '250 times 2 MiB, too large for Redis', 250, 'x', 2 * MIB, CHECKPOINTS],
  ['save without Redis', '500 times 1 MiB', 500, 'x', MIB - 200, CHECKPOINTS],
  ['save with expectedVersion', '500 times 1 MiB', 500, 'x', MIB - 200, CHECKPOINTS],
  ['recorder.save', '500 times 1 MiB', 500, 'x', MIB - 200, NODES],
  ['put', '500 times 1 MiB', 500, 'x', MIB - 2000, THREADS],
  ['put', '250 times 1 M characters of three bytes', 250, '字', MIB, THREADS],
  ['putWrites', '500 times 1 MiB', 500, 'x', MIB - 2000, WRITES],
])(
  'a burst of %s, %s, is bounded by maxPendingBytes, and what is acknowledged is committed',
  async (kind, _, count, text, times, stored) => {
    const place = await testPlace();
    const { acknowledged, refusals, grownBytes } = await burst(place, { kind, count, text, times });
    expect(refusals).toEqual(['BACKPRESSURE maxPendingBytes']);
    expect(acknowledged.length).toBeGreaterThan(0);
    expect(grownBytes).toBeLessThan(MAX_GROWTH_BYTES);

    await (kind.startsWith('put') ? startGraphWriter(place) : startWriter(place));
    const query = stored.replace('FROM ', `FROM ${place.schema}.`);
    const check = async () => {
      const { rows } = await place.pool.query<{ number: string }>(query);
      expect(new Set(rows.map(({ number }) => Number(number)))).toEqual(new Set(acknowledged));
    };
    await vi.waitFor(check, { timeout: TIMEOUT_MS / 2, interval: 100 });
  },
  TIMEOUT_MS,
);

it(
  'updates of a recorder wait for their turn within a bound',
  async () => {
    const place = await testPlace();
    await startWriter(place);
    const given = { kind: 'recorder.updateState', count: 100, text: 'x', times: 4 * MIB } as const;
    const { acknowledged, refusals, grownBytes } = await burst(place, given);
    expect(refusals).toEqual(['BACKPRESSURE maxPendingBytes']);
    expect(acknowledged.length).toBeGreaterThan(0);
    expect(grownBytes).toBeLessThan(MAX_GROWTH_BYTES);
    expect(await testStore(place).list('burst', LATEST)).toHaveLength(acknowledged.length);
  },
  TIMEOUT_MS,
);

it(
  'a batch that is larger than maxPendingBytes holds no more than that, and what fits is saved',
  async () => {
    const place = await testPlace();
    await startWriter(place);
    const given = { kind: 'saveBatch', count: 150, text: 'x', times: MIB - 200 } as const;
    const { refusals, grownBytes } = await burst(place, given);
    expect(refusals).toEqual(['BACKPRESSURE maxPendingBytes']);
    expect(grownBytes).toBeLessThan(MAX_GROWTH_BYTES);
    expect(await testStore(place).list('burst', LATEST)).toHaveLength(64);
  },
  TIMEOUT_MS,
);
