import { onTestFinished } from 'vitest';
import {
  type CheckpointInput,
  type DeadLetterLine,
  DeadLetters,
  type DeadLettersOptions,
  PostgresCheckpointStore,
  type SaveReceipt,
} from '../../src/index.js';
import { deadLetterKeys } from '../../src/redis/queue-keys.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';

/** A place whose table refuses states with the key `poison` until it is cured. */
export interface PoisonablePlace extends Place {
  cure(): Promise<void>;
}

export async function poisonablePlace(): Promise<PoisonablePlace> {
  const place = await testPlace();
  const store = new PostgresCheckpointStore({ postgres: place.postgres, schema: place.schema });
  await store.initSchema();
  await store.close();
  const table = `${place.schema}.checkpoints`;
  await place.pool.query(`ALTER TABLE ${table} ADD CONSTRAINT no_poison CHECK (NOT state ? 'poison')`);
  const cure = async () => {
    await place.pool.query(`ALTER TABLE ${table} DROP CONSTRAINT no_poison`);
  };
  return { ...place, cure };
}

/** The dead letters of the place, closed with the test; with PostgreSQL unless told otherwise. */
export function testLetters(place: Place, options: Partial<DeadLettersOptions> = {}): DeadLetters {
  const { redis, postgres, schema, queue } = place;
  const letters = new DeadLetters({ redis, postgres, schema, queue, ...options });
  onTestFinished(() => letters.close());
  return letters;
}

/** Saves checkpoints that the table refuses, and lets a writer of its own make them dead letters. */
export async function refused(
  place: Place,
  checkpoints: ReadonlyArray<Partial<CheckpointInput>> = [{}],
): Promise<SaveReceipt[]> {
  const writer = await startWriter(place);
  const store = testStore(place);
  const receipts = await store.saveBatch(
    checkpoints.map((fields) => newCheckpoint({ state: { poison: 1 }, ...fields })),
  );
  await store.flush().catch(() => {});
  await writer.close();
  return receipts;
}

/** One refused save: its checkpoint, sequence and dead letter. */
export async function refusedOne(
  place: Place,
  fields: Partial<CheckpointInput> = {},
): Promise<{
  checkpoint: CheckpointInput & { executionId: string };
  sequence: number;
  deadLetterId: string;
}> {
  const checkpoint = newCheckpoint({ state: { poison: 1 }, ...fields });
  const [receipt] = await refused(place, [checkpoint]);
  const { sequence } = receipt as SaveReceipt;
  return { checkpoint, sequence, deadLetterId: `d-${sequence}` };
}

/** A line of an export that nobody made. */
export function forgedLine(place: Place, fields: Partial<DeadLetterLine> = {}): DeadLetterLine {
  const { sequence = 1, replays = 0 } = fields;
  return {
    deadLetterId: replays === 0 ? `d-${sequence}` : `d-${sequence}-${replays}`,
    id: `checkpoint-${sequence}`,
    executionId: 'forged',
    sequence,
    replays,
    sqlState: '23514',
    reason: 'PostgreSQL error 23514',
    firstFailedAt: '2026-01-01T00:00:00.000Z',
    lastFailedAt: '2026-01-01T00:00:00.000Z',
    jobId: `w-${sequence}`,
    worker: 'host:1',
    sink: 'checkpoints',
    target: `${place.schema}.checkpoints`,
    checkpoint: {
      nodeName: 'node',
      state: { poison: sequence },
      metadata: null,
      timestamp: '2026-01-01T00:00:00.000Z',
      version: 1,
    },
    ...fields,
  } as DeadLetterLine;
}

/** All keys of a queue's dead letters but those that stay: what was removed must be in none of them. */
export async function tracesOf({ client, keys }: Place, text: string): Promise<string[]> {
  const traces: string[] = [];
  const dead = deadLetterKeys(keys);
  for (const key of await client.keys(`${dead.jobPrefix}*`)) {
    if (key === `${dead.jobPrefix}events`) continue;
    const type = await client.type(key);
    const content =
      type === 'list'
        ? await client.lrange(key, 0, -1)
        : type === 'zset'
          ? await client.zrange(key, 0, '-1')
          : [];
    if (key.includes(text) || content.some((entry) => entry.includes(text))) traces.push(key);
  }
  return traces;
}
