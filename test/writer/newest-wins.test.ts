import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Scope } from '../../src/postgres/checkpoint-table.js';
import { Database } from '../../src/postgres/database.js';
import { tableNames } from '../../src/postgres/identifiers.js';
import { CheckpointTable } from '../../src/store/checkpoint-table.js';
import { BatchWriter } from '../../src/writer/batch-writer.js';
import { CheckpointSink } from '../../src/writer/checkpoint-sink.js';
import type { BatchOutcome } from '../../src/writer/sink.js';
import { openPlace, type Place } from '../store/place.js';
import { EXECUTIONS, IDS, MAX_SEQUENCE, Model, recordOf, type Save, saves } from './records.js';

let place: Place;
let database: Database;
let table: CheckpointTable;
let sink: CheckpointSink;
let runs = 0;

beforeAll(async () => {
  place = await openPlace();
  const names = tableNames({ schema: place.schema });
  database = new Database({ connectionString: place.postgres, max: 6 });
  table = new CheckpointTable(database, names);
  sink = new CheckpointSink(names);
  await table.migrate();
});

afterAll(async () => {
  await database.close();
  await place.remove();
});

/** One run of a property: its ids are nobody else's, so that no table needs to be emptied. */
class Run {
  readonly #prefix = `${++runs} `;
  readonly #writer = new BatchWriter(database);
  readonly model = new Model();

  write(batch: readonly Save[]): Promise<BatchOutcome> {
    const prefixed = batch.map((save) => ({
      ...save,
      id: this.#prefix + save.id,
      executionId: this.#prefix + save.executionId,
    }));
    return this.#writer.write([{ sink, records: prefixed.map(recordOf) }]);
  }

  remove(scope: Scope, key: string, fence: number): Promise<number> {
    return table.remove(scope, this.#prefix + key, fence);
  }

  async expectModel(): Promise<void> {
    const { rows } = await place.pool.query<Save & { state: unknown }>(
      `SELECT substr(id, $2) AS id, substr(execution_id, $2) AS "executionId", version,
              write_seq::int AS sequence, state
         FROM ${place.schema}.checkpoints WHERE starts_with(id, $1) ORDER BY id`,
      [this.#prefix, this.#prefix.length + 1],
    );
    const expected = [...this.model.stored.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    expect(rows).toEqual(
      expected.map((save) => ({ ...save, state: { version: save.version, sequence: save.sequence } })),
    );
  }
}

/** Saves in an order of their own, some of them delivered again, split into batches. */
function deliveries(): fc.Arbitrary<Save[][]> {
  return saves().chain((given) => {
    const all = fc.shuffledSubarray(given, { minLength: given.length });
    const again = fc.shuffledSubarray(given);
    const cuts = fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 6 });
    return fc.tuple(all, again, cuts).map(([first, second, sizes]) => split([...first, ...second], sizes));
  });
}

function split(list: readonly Save[], sizes: readonly number[]): Save[][] {
  const batches: Save[][] = [];
  for (let from = 0; from < list.length; ) {
    const size = sizes[batches.length % sizes.length] as number;
    batches.push(list.slice(from, from + size));
    from += size;
  }
  return batches;
}

describe('whatever the order of delivery', () => {
  it('the stored row of an id is the one with the highest version and sequence', async () => {
    const newestWins = fc.asyncProperty(deliveries(), async (batches) => {
      const run = new Run();
      for (const save of batches.flat()) run.model.save(save);
      for (const batch of batches) await run.write(batch);
      await run.expectModel();
    });
    await fc.assert(newestWins, { numRuns: 100 });
  });

  it('concurrent batches leave the same, and none of them deadlocks', async () => {
    const newestWins = fc.asyncProperty(deliveries(), async (batches) => {
      const run = new Run();
      for (const save of batches.flat()) run.model.save(save);
      await Promise.all(batches.map((batch) => run.write(batch)));
      await run.expectModel();
    });
    await fc.assert(newestWins, { numRuns: 60 });
  });

  it('every record of a batch is counted once, and one that is delivered again changes nothing', async () => {
    const counts = fc.asyncProperty(saves(), async (batch) => {
      const run = new Run();
      for (const save of batch) run.model.save(save);
      const { committed, superseded, deleted } = await run.write(batch);
      expect(committed).toBeGreaterThanOrEqual(run.model.stored.size);
      expect([committed + superseded, deleted]).toEqual([batch.length, 0]);
      expect(await run.write(batch)).toEqual({ committed: 0, superseded: batch.length, deleted: 0 });
      await run.expectModel();
    });
    await fc.assert(counts, { numRuns: 40 });
  });
});

type Removal = { scope: Scope; key: string; fence: number };

/** Batches with deletes in between, their fences anywhere among the sequences. */
function history(): fc.Arbitrary<Array<Save[] | Removal>> {
  const fence = fc.integer({ min: 0, max: MAX_SEQUENCE });
  const removal: fc.Arbitrary<Removal> = fc.oneof(
    fc.record({ scope: fc.constant('checkpoint' as const), key: fc.constantFrom(...IDS), fence }),
    fc.record({ scope: fc.constant('execution' as const), key: fc.constantFrom(...EXECUTIONS), fence }),
  );
  const removals = fc.array(fc.tuple(removal, fc.nat()), { minLength: 1, maxLength: 5 });
  return fc.tuple(deliveries(), removals).map(([batches, placed]) => {
    const steps: Array<Save[] | Removal> = [...batches];
    for (const [step, at] of placed) steps.splice(at % (steps.length + 1), 0, step);
    return steps;
  });
}

describe('with deletes in between', () => {
  it('batches leave exactly what record by record would', async () => {
    const sameAsOneByOne = fc.asyncProperty(history(), async (steps) => {
      const run = new Run();
      for (const step of steps) {
        if (Array.isArray(step)) {
          const oneByOne = [...step].sort((a, b) => a.sequence - b.sequence);
          for (const save of oneByOne) run.model.save(save);
          const { committed, superseded, deleted } = await run.write(step);
          expect(committed + superseded + deleted).toBe(step.length);
        } else {
          const fence = run.model.remove(step.scope, step.key, step.fence);
          expect(await run.remove(step.scope, step.key, step.fence)).toBe(fence);
        }
      }
      await run.expectModel();
    });
    await fc.assert(sameAsOneByOne, { numRuns: 100 });
  });
});
