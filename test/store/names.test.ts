import { randomUUID } from 'node:crypto';
import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  CheckpointWriter,
  DeadLetters,
  PostgresCheckpointStore,
  QueuedCheckpointStore,
} from '../../src/index.js';
import { langGraphSink, QueuedPostgresSaver } from '../../src/langgraph/index.js';
import { quoted } from '../../src/postgres/identifiers.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { forgedLine } from '../dead-letters/letters.js';
import { diagnosis } from '../doctor/diagnosis.js';
import { graphsOn } from '../langgraph/graphs.js';
import { tuplesOf } from '../langgraph/place.js';
import { testQueue } from '../services.js';
import { openPlace, type Place } from './place.js';

/** Names that PostgreSQL takes in quotes. The table of each is the schema's name too, where that is short enough. */
const NAMES = [
  'my-app',
  'Tenant.1',
  '1st',
  'größe',
  'with space',
  'quo"te',
  "apo'strophe",
  'back\\slash',
  "\\' OR 1=1; --",
  '$$',
  '$body1$ $$',
  '%s %d %%',
  'new\nline',
  'tab\tand\x1b[31m',
  'select',
  'a.b"."c',
  '".',
  '😀 \u202e\u2028',
  ', line 7',
  'ä'.repeat(26),
  '"'.repeat(52),
];

let place: Place;
/** What functions, literals and comments of a partitioned table could trip over. */
const PARTITIONED_NAMES = NAMES.filter((name) => /['"\\$\n]|^my-app$|ä/.test(name));

beforeAll(async () => {
  place = await openPlace();
});

afterAll(async () => {
  await place.remove();
});

/** Saves, reads, prunes and deletes by all that there is, in tables of these names. */
async function useAll(schema: string, table: string, partitionBy: 'month' | undefined): Promise<void> {
  const { redis, postgres } = place;
  const queue = testQueue();
  const where = { redis, postgres, queue, schema, table };
  const plain = new PostgresCheckpointStore({ postgres, schema, table, partitionBy });
  const store = new QueuedCheckpointStore({ ...where, partitionBy });
  const writer = new CheckpointWriter({ ...where, sinks: [langGraphSink({ schema })] });
  const letters = new DeadLetters(where);
  const saver = new QueuedPostgresSaver({ redis, postgres, queue, schema });
  try {
    await plain.initSchema();
    await plain.initSchema();
    await writer.start();
    const checkpoint = newCheckpoint();
    const { id, executionId } = checkpoint as { id: string; executionId: string };
    const receipt = await store.save(checkpoint);
    expect(await receipt.committed()).toBe('committed');
    const older = newCheckpoint({ executionId, timestamp: new Date(0) });
    await plain.save(older);
    expect((await store.latest(executionId, { consistency: 'latest' }))?.id).toBe(id);
    expect((await plain.list(executionId)).map((one) => one.id)).toEqual([older.id, id]);
    await store.save({ ...checkpoint, version: 2, timestamp: new Date() }, { expectedVersion: 1 });
    expect((await plain.load(id)).version).toBe(2);
    expect(await store.prune({ keepLast: 1, executionId })).toMatchObject({ pruned: 1 });
    if (partitionBy) await plain.dropPartitions(new Date());
    const target = `${/^\w+$/.test(schema) ? schema : quoted(schema)}.${/^[A-Za-z_]\w*$/.test(table) ? table : quoted(table)}`;
    const line = forgedLine(place, { target, sequence: receipt.sequence + 1, executionId });
    await letters.import([line]);
    expect(await letters.replay({ all: true })).toMatchObject({ replayed: 1, committed: 1 });

    const config = { configurable: { thread_id: randomUUID() } };
    await graphsOn(saver).talk.invoke({ turn: 1 }, config);
    expect(await tuplesOf(saver, config.configurable.thread_id)).toHaveLength(4);
    await saver.pruneThreads({ keepLast: 1, threadId: config.configurable.thread_id });

    const found = await diagnosis({ redis, postgres, queue, schema }, { table, graphSchema: schema });
    expect(Object.values(found).filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(found['pipeline.probe']?.severity).toBe('ok');
    expect(found['postgres.langgraph']?.seen).toContain('has schema version');

    await store.clear(executionId);
    expect(await plain.list(executionId)).toEqual([]);
    await saver.deleteThread(config.configurable.thread_id);
    expect(await tuplesOf(saver, config.configurable.thread_id)).toEqual([]);
    expect(await place.client.zcard(`bull:${queue}:failed`)).toBe(0);
  } finally {
    await Promise.all([plain.close(), store.close(), letters.close(), saver.end()]);
    await writer.close();
    const left = await place.client.keys(`bull:${queue}*`);
    if (left.length > 0) await place.client.unlink(left);
    await drop(schema);
  }
}

async function drop(schema: string): Promise<void> {
  await place.pool.query(`DROP SCHEMA IF EXISTS ${quoted(schema)} CASCADE`);
}

const CASES = [
  ...NAMES.map((name) => [name, undefined] as const),
  ...PARTITIONED_NAMES.map((name) => [name, 'month'] as const),
];

it.each(CASES)(
  'a schema and a table may be called %j, partitioned by %s',
  async (name, partitionBy) => {
    const long = `${name.slice(0, 4)}-${randomUUID().slice(0, 8)}${name}`;
    await useAll(Buffer.byteLength(long) <= 63 ? long : name, name, partitionBy);
  },
  120_000,
);

it('may have any name that PostgreSQL can quote', async () => {
  const letters = fc.constantFrom(...'aZ_0"\'$\\.%-; \n\t(){}[]*?|&^~`é漢😀\u0001\u0085\u202e');
  const name = fc.array(letters, { minLength: 1, maxLength: 12 }).map((all) => all.join(''));
  await fc.assert(
    fc.asyncProperty(
      name,
      name,
      fc.constantFrom(undefined, 'month' as const),
      async (schema, table, partitionBy) => {
        const unique = `${schema}${randomUUID().slice(0, 8)}`;
        await useAll(unique, table, partitionBy);
      },
    ),
    { numRuns: 4 },
  );
}, 300_000);

it('the schema of PostgresSaver is taken over whatever its name', async () => {
  const { redis, postgres } = place;
  for (const name of ['my-app', 'Tenant.1', 'größe', '2024_app']) {
    const schema = `${name} ${randomUUID()}`;
    const official = PostgresSaver.fromConnString(postgres, { schema });
    const config = { configurable: { thread_id: 'thread' } };
    await official.setup();
    await graphsOn(official).talk.invoke({ turn: 1 }, config);
    const before = await tuplesOf(official, 'thread');
    const saver = new QueuedPostgresSaver({ redis, postgres, schema, queue: testQueue(), writer: true });
    expect(await tuplesOf(saver, 'thread')).toEqual(before);
    await graphsOn(saver).talk.invoke({ turn: 2 }, config);
    await saver.flush();
    expect((await tuplesOf(official, 'thread')).length).toBeGreaterThan(before.length);
    await saver.end();
    await official.end();
    await drop(schema);
  }
}, 120_000);
