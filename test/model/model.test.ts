import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { tableNames } from '../../src/postgres/identifiers.js';
import { SAFEGUARDS, type Safeguards } from '../../src/postgres/safeguards.js';
import { CheckpointSink } from '../../src/writer/checkpoint-sink.js';
import { services } from '../services.js';
import { check, reportOf } from './check.js';
import type { Producer } from './producer.js';
import { type Sabotage, startProducers, World } from './world.js';

const partitionBy = inject('partitionBy');
/** `npm run soak` runs more. */
const SEQUENCES = partitionBy ? 120 : 300;
const TIMEOUT_MS = 900_000;
/** Broken writers have been found out after 1 to 60. */
const SEQUENCES_TO_FIND = 300;

let producers: Producer[];
beforeAll(() => {
  producers = startProducers();
});
afterAll(async () => {
  await Promise.all(producers.map((producer) => producer.close()));
});

async function openWorld(sabotage?: Sabotage): Promise<World> {
  const world = await World.open(services(), producers, { ...sabotage, partitionBy });
  onTestFinished(() => world.close());
  return world;
}

it(`${SEQUENCES} sequences of saves, deletes and reads from two processes keep order, deletion and latest reads`, {
  timeout: TIMEOUT_MS,
}, async () => {
  const counterexample = await check(await openWorld(), { runs: SEQUENCES });
  expect(counterexample && reportOf(counterexample)).toBeUndefined();
});

describe('finds out writers', { timeout: TIMEOUT_MS }, () => {
  const without = (safeguard: keyof Safeguards): Sabotage => ({
    sinks: (schema) => [new CheckpointSink(tableNames({ schema }), { ...SAFEGUARDS, [safeguard]: false })],
  });
  const NEWER = 'WHERE (t.version, t.write_seq) < (excluded.version, excluded.write_seq)';
  const mergingWhere = (condition: string): Sabotage => ({
    merge: (sql) => {
      if (!sql.includes(NEWER)) throw new Error('the merge statement is another one');
      return sql.replace(NEWER, condition);
    },
  });

  it.each([
    ['that do not look at the tombstones', without('guard'), /is not deleted|which is deleted/],
    ['that hold no lock while a batch is open', without('gate'), /is not deleted|which is deleted/],
    [
      'whose merge ignores versions',
      mergingWhere('WHERE t.write_seq < excluded.write_seq'),
      /is gone|misses/,
    ],
    ['whose merge ignores sequences', mergingWhere('WHERE t.version <= excluded.version'), /is gone|misses/],
  ])('%s', async (_, sabotage, complaint) => {
    const world = await openWorld(sabotage);
    // Other complaints follow from the same harm, such as a receipt that is lost: they may come first, and do not count.
    const found = await check(world, { runs: SEQUENCES_TO_FIND, endOnFailure: true, like: complaint });
    expect(found?.text).toMatch(complaint);
  });
});
