import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CheckpointWriter } from '../../src/index.js';
import type { QueuedPostgresSaver } from '../../src/langgraph/index.js';
import { graphTableNames } from '../../src/postgres/graph-tables.js';
import { graphThreadsSql } from '../../src/postgres/graph-threads.js';
import { openPlace, type Place } from '../store/place.js';
import { graphWriterOptions } from './graph-writer.js';
import { openSaver } from './place.js';
import { checkpointOf } from './rich-thread.js';
import { onThread } from './scenarios.js';

const METADATA = { source: 'loop', step: 0, parents: {} } as const;
const THREADS = ['a', 'a b', 'ab', 'b', 'Z', 'ü', '👋', '10', '9'];

let place: Place;
let saver: QueuedPostgresSaver;
let writer: CheckpointWriter;
const newest = new Map<string, { checkpointId: string; updatedAt: Date }>();
beforeAll(async () => {
  place = await openPlace();
  saver = openSaver(place);
  writer = new CheckpointWriter(graphWriterOptions(place));
  await writer.start();
  for (const thread of THREADS) {
    for (const step of [0, 1, 2]) {
      const checkpoint = checkpointOf(step, {}, {});
      await saver.put(onThread(thread), checkpoint, METADATA, {});
      newest.set(thread, { checkpointId: checkpoint.id, updatedAt: new Date(checkpoint.ts) });
    }
    // Newer, but of a subgraph.
    await saver.put(onThread(thread, { checkpoint_ns: 'child' }), checkpointOf(9, {}, {}), METADATA, {});
  }
  await saver.put(onThread('child alone', { checkpoint_ns: 'child' }), checkpointOf(0, {}, {}), METADATA, {});
  await saver.flush();
});
afterAll(async () => {
  await saver?.end();
  await writer?.close();
  await place?.remove();
});

describe('listThreads', () => {
  it('gives each thread once, with the newest checkpoint of its root and when that was made', async () => {
    const threads = await saver.listThreads();
    expect(new Set(threads)).toEqual(
      new Set([
        ...THREADS.map((threadId) => ({ threadId, ...newest.get(threadId) })),
        { threadId: 'child alone', checkpointId: undefined, updatedAt: undefined },
      ]),
    );
    expect(threads).toHaveLength(THREADS.length + 1);
  });

  it.each([1, 2, 3, 100])('gives all in pages of %i, each behind the last, in one order', async (limit) => {
    const all = await saver.listThreads();
    const paged: typeof all = [];
    for (let after: string | undefined; ; ) {
      const page = await saver.listThreads({ limit, ...(after !== undefined && { after }) });
      expect(page.length).toBeLessThanOrEqual(limit);
      paged.push(...page);
      if (page.length < limit) break;
      after = page.at(-1)?.threadId;
    }
    expect(paged).toEqual(all);
  });

  it('shows no thread that was deleted, and goes on behind it', async () => {
    await saver.put(onThread('aa deleted'), checkpointOf(0, {}, {}), METADATA, {});
    await saver.flush();
    const all = (await saver.listThreads()).map(({ threadId }) => threadId);
    const place = all.indexOf('aa deleted');
    expect(place).toBeGreaterThan(-1);
    await saver.deleteThread('aa deleted');
    const left = await saver.listThreads();
    expect(left.map(({ threadId }) => threadId)).toEqual(all.filter((id) => id !== 'aa deleted'));
    expect(await saver.listThreads({ after: 'aa deleted' })).toEqual(left.slice(place));
  });

  it.each([0, 1.5, 10_001, Number.NaN])('refuses a limit of %d', async (limit) => {
    await expect(saver.listThreads({ limit })).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
      field: 'limit',
    });
  });

  it('reads the index alone: as many rows as threads, however many checkpoints they have', async () => {
    const { pool, schema } = place;
    await pool.query(
      `INSERT INTO ${schema}.checkpoints (thread_id, checkpoint_id, checkpoint, metadata)
       SELECT 'zz many ' || thread, 'id ' || checkpoint, jsonb_build_object('ts', now()), '{}'
         FROM generate_series(1, 20) thread, generate_series(1, 2000) checkpoint`,
    );
    await pool.query(`ANALYZE ${schema}.checkpoints`);
    const { list } = graphThreadsSql(graphTableNames(schema));
    const { rows } = await pool.query(`EXPLAIN (ANALYZE, FORMAT JSON) ${list}`, ['zz', 10]);
    const scans = scansOf(rows[0]['QUERY PLAN'][0].Plan);
    expect(scans.map((scan) => scan['Node Type'])).not.toContain('Seq Scan');
    expect(scans.reduce((sum, scan) => sum + rowsRead(scan), 0)).toBeLessThan(100);
    expect(await saver.listThreads({ after: 'zz', limit: 10 })).toHaveLength(10);
  });
});

interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  Plans?: PlanNode[];
}

/** Where a plan reads the table of the checkpoints. */
function scansOf(node: PlanNode): PlanNode[] {
  const own = node['Relation Name'] === 'checkpoints' ? [node] : [];
  return [...own, ...(node.Plans ?? []).flatMap(scansOf)];
}

function rowsRead(scan: PlanNode): number {
  return (scan['Actual Rows'] + (scan['Rows Removed by Filter'] ?? 0)) * scan['Actual Loops'];
}
