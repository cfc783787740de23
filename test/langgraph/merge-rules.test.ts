import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GraphSink } from '../../src/langgraph/graph-sink.js';
import { Database } from '../../src/postgres/database.js';
import { graphTableNames, graphTableSql } from '../../src/postgres/graph-tables.js';
import { Removal } from '../../src/postgres/removal.js';
import { BatchWriter } from '../../src/writer/batch-writer.js';
import type { BatchOutcome } from '../../src/writer/sink.js';
import { openPlace, type Place } from '../store/place.js';
import { deliveriesOf } from '../writer/deliveries.js';
import { Model, type Operation, recordOf, type Stored } from './graph-records.js';

const THREADS = ['x', 'y'];
const MAX_SEQUENCE = 60;

let place: Place;
let database: Database;
let sink: GraphSink;
let removal: Removal;
let runs = 0;

beforeAll(async () => {
  place = await openPlace();
  const names = graphTableNames(place.schema);
  database = new Database({ connectionString: place.postgres, max: 6 });
  sink = new GraphSink(names);
  removal = new Removal(database, graphTableSql(names));
  await sink.migrate(database);
});

afterAll(async () => {
  await database?.close();
  await place?.remove();
});

/** One run of a property: its threads are nobody else's, so that no table needs to be emptied. */
class Run {
  readonly #prefix = `run${++runs}:`;
  readonly #writer = new BatchWriter(database);
  readonly model = new Model();

  write(batch: readonly Operation[]): Promise<BatchOutcome> {
    return this.#writer.write([
      { sink, records: batch.map((operation) => recordOf(operation, this.#prefix)) },
    ]);
  }

  async remove(thread: string, fence: number): Promise<number | undefined> {
    const [above] = await removal.remove([{ scope: 'thread', key: this.#prefix + thread, fence }]);
    return above;
  }

  /** Every row with the sequence that it was stored with; all its columns are of that one. */
  async stored(): Promise<Stored> {
    const { schema, pool } = place;
    const { rows } = await pool.query<{ key: string; write_seq: string; told: string[] }>(
      `SELECT 'checkpoint ' || thread_id || ' ' || checkpoint_id AS key, write_seq,
              ARRAY[parent_checkpoint_id, checkpoint ->> 'sequence', metadata ->> 'sequence'] AS told
         FROM ${schema}.checkpoints WHERE starts_with(thread_id, $1)
       UNION ALL SELECT 'blob ' || thread_id || ' ' || channel, write_seq, ARRAY[convert_from(blob, 'UTF8')]
         FROM ${schema}.checkpoint_blobs WHERE starts_with(thread_id, $1)
       UNION ALL SELECT 'write ' || concat_ws(' ', thread_id, checkpoint_id, task_id, idx), write_seq,
              ARRAY[channel, task_path, convert_from(blob, 'UTF8')]
         FROM ${schema}.checkpoint_writes WHERE starts_with(thread_id, $1)`,
      [this.#prefix],
    );
    const entries = rows.map(({ key, write_seq, told }) => {
      expect(new Set(told.map((text) => text.replace(/^\w+ /, '')))).toEqual(new Set([write_seq]));
      return [key.replace(this.#prefix, ''), Number(write_seq)] as const;
    });
    return new Map(entries);
  }

  async expectModel(): Promise<void> {
    expect(sorted(await this.stored())).toEqual(sorted(this.model.stored));
  }
}

function sorted(stored: Stored): Array<[string, number]> {
  return [...stored].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Operations on few keys, each with a sequence of its own, in any order. */
function operations(): fc.Arbitrary<Operation[]> {
  const place = {
    sequence: fc.integer({ min: 1, max: MAX_SEQUENCE }),
    thread: fc.constantFrom(...THREADS),
    checkpoint: fc.constantFrom('c1', 'c2'),
  };
  const blobs = fc.subarray(['b1', 'b2', 'b3']);
  const put = fc.record({ ...place, kind: fc.constant('put' as const), blobs });
  const indexes = fc.subarray([-4, -1, 0, 1, 2], { minLength: 1 });
  const task = fc.constantFrom('t1', 't2');
  const writes = fc.record({ ...place, kind: fc.constant('writes' as const), task, indexes });
  return fc.uniqueArray(fc.oneof(put, writes), {
    selector: ({ sequence }) => sequence,
    minLength: 1,
    maxLength: 16,
  });
}

describe('whatever the order of delivery', () => {
  it('a checkpoint and the marks of a task are the newest, ordinary writes the oldest, blobs the first that came', async () => {
    const rules = fc.asyncProperty(deliveriesOf(operations(), 6), async (batches) => {
      const run = new Run();
      for (const batch of batches) {
        run.model.write(batch);
        await run.write(batch);
      }
      await run.expectModel();
    });
    await fc.assert(rules, { numRuns: 50 });
  });

  it('concurrent batches leave the same, but for blobs, which are of any of them; and none deadlocks', async () => {
    const rules = fc.asyncProperty(deliveriesOf(operations(), 6), async (batches) => {
      const run = new Run();
      for (const batch of batches) run.model.write(batch);
      await Promise.all(batches.map((batch) => run.write(batch)));
      const [stored, expected] = [sorted(await run.stored()), sorted(run.model.stored)];
      const isBlob = ([key]: [string, number]) => key.startsWith('blob');
      expect(stored.filter((row) => !isBlob(row))).toEqual(expected.filter((row) => !isBlob(row)));
      expect(stored.filter(isBlob).map(([key]) => key)).toEqual(expected.filter(isBlob).map(([key]) => key));
    });
    await fc.assert(rules, { numRuns: 50 });
  });

  it('what is delivered again changes nothing, and every record is counted once', async () => {
    const counts = fc.asyncProperty(operations(), async (batch) => {
      const run = new Run();
      run.model.write(batch);
      const { committed, superseded, deleted } = await run.write(batch);
      expect([committed + superseded, deleted]).toEqual([batch.length, 0]);
      expect(await run.write(batch)).toEqual({ committed: 0, superseded: batch.length, deleted: 0 });
      await run.expectModel();
    });
    await fc.assert(counts, { numRuns: 25 });
  });

  it('nothing of a deleted thread up to its fence is left or comes back, and what is after it is stored', async () => {
    const deletion = fc.record({
      thread: fc.constantFrom(...THREADS),
      fence: fc.nat({ max: MAX_SEQUENCE }),
      at: fc.nat(),
    });
    const deletions = fc.array(deletion, { minLength: 1, maxLength: 4 });
    const rules = fc.asyncProperty(deliveriesOf(operations(), 6), deletions, async (batches, placed) => {
      const run = new Run();
      const steps: Array<Operation[] | (typeof placed)[number]> = [...batches];
      for (const step of placed) steps.splice(step.at % (steps.length + 1), 0, step);
      for (const step of steps) {
        if (Array.isArray(step)) {
          run.model.write(step);
          const { committed, superseded, deleted } = await run.write(step);
          expect(committed + superseded + deleted).toBe(step.length);
        } else {
          const above = run.model.remove(step.thread, step.fence);
          expect(await run.remove(step.thread, step.fence)).toBe(above);
        }
      }
      await run.expectModel();
    });
    await fc.assert(rules, { numRuns: 50 });
  });
});

describe('rows of PostgresSaver, which have no sequence', () => {
  it('count as older than all of ours: checkpoints and marks give way, ordinary writes and blobs stay', async () => {
    const { schema, pool } = place;
    await pool.query(`
      INSERT INTO ${schema}.checkpoints (thread_id, checkpoint_id, checkpoint, metadata)
        VALUES ('old', 'c1', '{"sequence": "old"}', '{}');
      INSERT INTO ${schema}.checkpoint_blobs (thread_id, channel, version, type, blob)
        VALUES ('old', 'b1', '1', 'json', 'old');
      INSERT INTO ${schema}.checkpoint_writes (thread_id, checkpoint_id, task_id, idx, channel, type, blob)
        VALUES ('old', 'c1', 't1', 0, 'a', 'json', 'old'), ('old', 'c1', 't1', -1, 'a', 'json', 'old')`);
    const at = { thread: 'old', checkpoint: 'c1' };
    const records = [
      recordOf({ ...at, kind: 'put', sequence: 1, blobs: ['b1'] }),
      recordOf({ ...at, kind: 'writes', sequence: 2, task: 't1', indexes: [0, -1] }),
    ];
    await new BatchWriter(database).write([{ sink, records }]);
    const { rows } = await pool.query(
      `SELECT checkpoint ->> 'sequence' AS value FROM ${schema}.checkpoints WHERE thread_id = 'old'
       UNION ALL SELECT convert_from(blob, 'UTF8') FROM ${schema}.checkpoint_blobs WHERE thread_id = 'old'
       UNION ALL (SELECT convert_from(blob, 'UTF8') FROM ${schema}.checkpoint_writes WHERE thread_id = 'old' ORDER BY idx)`,
    );
    expect(rows.map(({ value }) => value)).toEqual(['1', 'old', '2', 'old']);
  });
});
