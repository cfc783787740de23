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
import { deliveriesOf } from './deliveries.js';
import { EXECUTIONS, homeOf, IDS, MAX_SEQUENCE, Model, recordOf, type Save, saves } from './records.js';

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

function deliveries(options?: { moving: boolean }): fc.Arbitrary<Save[][]> {
  return deliveriesOf(saves(options), 8);
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

const fence = fc.integer({ min: 0, max: MAX_SEQUENCE });
const deletes: fc.Arbitrary<Removal> = fc.record({
  scope: fc.constant('checkpoint'),
  key: fc.constantFrom(...IDS),
  fence,
});
const clears: fc.Arbitrary<Removal> = fc.record({
  scope: fc.constant('execution'),
  key: fc.constantFrom(...EXECUTIONS),
  fence,
});

/** Batches with removals in between, their fences anywhere among the sequences. */
function history(
  batches: fc.Arbitrary<Save[][]>,
  removal: fc.Arbitrary<Removal>,
): fc.Arbitrary<Array<Save[] | Removal>> {
  const removals = fc.array(fc.tuple(removal, fc.nat()), { minLength: 1, maxLength: 5 });
  return fc.tuple(batches, removals).map(([delivered, placed]) => {
    const steps: Array<Save[] | Removal> = [...delivered];
    for (const [step, at] of placed) steps.splice(at % (steps.length + 1), 0, step);
    return steps;
  });
}

/** Each batch must leave what its records leave one by one, in the order of their sequences. */
function sameAsOneByOne(steps: fc.Arbitrary<Array<Save[] | Removal>>) {
  return fc.asyncProperty(steps, async (taken) => {
    const run = new Run();
    for (const step of taken) {
      if (Array.isArray(step)) {
        const oneByOne = [...step].sort((a, b) => a.sequence - b.sequence);
        for (const save of oneByOne) run.model.save(save);
        const { committed, superseded, deleted } = await run.write(step);
        expect(committed + superseded + deleted).toBe(step.length);
      } else {
        const above = run.model.remove(step.scope, step.key, step.fence);
        expect(await run.remove(step.scope, step.key, step.fence)).toBe(above);
      }
    }
    await run.expectModel();
  });
}

describe('batches leave exactly what record by record would', () => {
  it('with deletes and clears in between', async () => {
    const steps = history(deliveries({ moving: false }), fc.oneof(deletes, clears));
    await fc.assert(sameAsOneByOne(steps), { numRuns: 100 });
  });

  it('with deletes in between of ids that move from one execution to another', async () => {
    await fc.assert(sameAsOneByOne(history(deliveries(), deletes)), { numRuns: 60 });
  });
});

type Operation = { removal: Removal } | { save: Omit<Save, 'sequence'>; delays: number[] };

/** Operations in the order of their sequences; each save is delivered one to three times, so many steps later. */
function operations(): fc.Arbitrary<Operation[]> {
  const delays = fc.array(fc.nat({ max: 8 }), { minLength: 1, maxLength: 3 });
  const version = fc.nat({ max: 3 });
  const save = fc.record({ id: fc.constantFrom(...IDS), version, delays }).map((given) => ({
    save: { id: given.id, executionId: homeOf(given.id), version: given.version },
    delays: given.delays,
  }));
  const removal = fc.oneof(deletes, clears).map((given) => ({ removal: given }));
  return fc.array(fc.oneof({ weight: 3, arbitrary: save }, { weight: 1, arbitrary: removal }), {
    minLength: 2,
    maxLength: 14,
  });
}

describe('saves that are delivered late, some of them again', () => {
  it('leave what all operations leave in the order in which they were acknowledged', async () => {
    const inOrder = fc.asyncProperty(operations(), async (given) => {
      const run = new Run();
      const due = new Map<number, Save[]>();
      for (const [index, operation] of given.entries()) {
        const sequence = index + 1;
        if ('removal' in operation) {
          const { scope, key } = operation.removal;
          run.model.remove(scope, key, sequence);
          continue;
        }
        const save = { ...operation.save, sequence };
        run.model.save(save);
        for (const step of operation.delays.map((delay) => index + delay)) {
          due.set(step, [...(due.get(step) ?? []), save]);
        }
      }
      for (let step = 0; step <= Math.max(given.length, ...due.keys()); step++) {
        const operation = given[step];
        if (operation && 'removal' in operation) {
          await run.remove(operation.removal.scope, operation.removal.key, step + 1);
        }
        const batch = due.get(step);
        if (batch) await run.write(batch);
      }
      await run.expectModel();
    });
    await fc.assert(inOrder, { numRuns: 60 });
  });
});
