import pg from 'pg';
import type { Period } from '../../src/postgres/identifiers.js';
import { closedLoop } from '../closed-loop.js';
import type { Figures } from '../figures.js';
import { createLargeTable } from '../large-table.js';
import { median } from '../median.js';
import { type Pipeline, withPipeline } from '../pipeline.js';
import { SAVES_IN_FLIGHT } from '../plan.js';
import { checkpointOf, type Save, saveSource } from '../saves.js';
import type { Run } from '../subject.js';
import type { Scenario } from './scenario.js';

export const large: Scenario = {
  name: 'large',
  about: `${SAVES_IN_FLIGHT} saves in flight, alternately to an empty table and to a large one, plain and partitioned by month`,
  lines: [
    { figure: 'largeRows', label: 'rows of the large table', unit: 'rows' },
    { figure: 'emptyPlain', label: 'sustained, empty', unit: 'saves/s' },
    { figure: 'largePlain', label: 'sustained, large', unit: 'saves/s' },
    { figure: 'largePlainRatio', label: 'large ÷ empty', unit: 'ratio' },
    { figure: 'emptyPartitioned', label: 'sustained, partitioned, empty', unit: 'saves/s' },
    { figure: 'largePartitioned', label: 'sustained, partitioned, large', unit: 'saves/s' },
    { figure: 'largePartitionedRatio', label: 'partitioned, large ÷ empty', unit: 'ratio' },
  ],
  measure: measureLarge,
};

interface Rates {
  readonly empty: number;
  readonly large: number;
  /** Of neighbours in time: the machine's moods are in both. */
  readonly ratio: number;
}

async function measureLarge(run: Run): Promise<Figures> {
  const plain = await compare(run, undefined);
  const partitioned = await compare(run, 'month');
  return {
    largeRows: run.plan.largeRows,
    emptyPlain: plain.empty,
    largePlain: plain.large,
    largePlainRatio: plain.ratio,
    emptyPartitioned: partitioned.empty,
    largePartitioned: partitioned.large,
    largePartitionedRatio: partitioned.ratio,
  };
}

async function compare(
  { place, states, plan, signal }: Run,
  partitionBy: Period | undefined,
): Promise<Rates> {
  const { databaseUrl, schema, queue } = place.address;
  const [empty, large] = ['empty', 'large'].map((size) => ({
    ...place.address,
    schema: `${schema}_${size}`,
    queue: `${queue}-${size}`,
  })) as [typeof place.address, typeof place.address];
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on('error', () => {}); // its query rejects anyway
  await client.connect();
  try {
    const table = { databaseUrl, partitionBy, signal };
    await createLargeTable({ ...table, schema: large.schema, rows: plan.largeRows });
    await createLargeTable({ ...table, schema: empty.schema, rows: 0 });
    return await withPipeline(empty, (small) =>
      withPipeline(large, async (big) => {
        const next = saveSource(states);
        const saved = new Map<Pipeline, number>();
        const rate = async (pipeline: Pipeline, afterMs: number) => {
          const { store, worker } = pipeline;
          const save = (one: Save) => store.save(checkpointOf(one));
          const loop = await closedLoop({ savers: SAVES_IN_FLIGHT, ends: { afterMs }, next, save, signal });
          const sum = (saved.get(pipeline) ?? 0) + loop.saves;
          saved.set(pipeline, sum);
          const { commits } = await worker.handled(sum, signal);
          return (loop.saves / (commits.lastAt - loop.beganAt)) * 1000;
        };
        const rates: Record<keyof Rates, number[]> = { empty: [], large: [], ratio: [] };
        for (const pipeline of [small, big]) await rate(pipeline, plan.warmUpMs);
        for (let window = 0; window < plan.largeWindows; window++) {
          const first = await rate(small, plan.largeWindowMs);
          const second = await rate(big, plan.largeWindowMs);
          rates.empty.push(first);
          rates.large.push(second);
          rates.ratio.push(second / first);
        }
        for (const [address, pipeline, rows] of [
          [empty, small, 0] as const,
          [large, big, plan.largeRows] as const,
        ]) {
          await place.expectRows(address.schema, 'checkpoints', rows + (saved.get(pipeline) ?? 0));
        }
        return { empty: median(rates.empty), large: median(rates.large), ratio: median(rates.ratio) };
      }),
    );
  } finally {
    for (const { schema: made } of [empty, large])
      await client.query(`DROP SCHEMA IF EXISTS "${made}" CASCADE`);
    await client.end();
  }
}
