import { describe, expect, it } from 'vitest';
import { Database } from '../../src/postgres/database.js';
import { migrateGraphTables } from '../../src/postgres/graph-schema.js';
import { graphTableNames } from '../../src/postgres/graph-tables.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { diagnosis } from './diagnosis.js';

const OURS = `id TEXT PRIMARY KEY, execution_id TEXT NOT NULL, node_name TEXT NOT NULL, state JSONB NOT NULL,
  metadata JSONB, timestamp TIMESTAMPTZ NOT NULL, version INTEGER NOT NULL`;

/** Tables of other programs that have one of our names. */
const FOREIGN: Array<[what: string, sql: string, says: RegExp]> = [
  ['another one', 'CREATE TABLE $.checkpoints (number INTEGER, note TEXT)', /column id is missing/],
  [
    "LangGraph's PostgresSaver's",
    `CREATE TABLE $.checkpoints (thread_id TEXT, checkpoint_ns TEXT, checkpoint_id TEXT, checkpoint JSONB,
       PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id))`,
    /PostgresSaver's/,
  ],
  [
    'one like ours without a key',
    `CREATE TABLE $.checkpoints (${OURS.replace(' PRIMARY KEY', '')})`,
    /has no primary key on id/,
  ],
  [
    'a view',
    `CREATE TABLE $.other (${OURS}); CREATE VIEW $.checkpoints AS SELECT * FROM $.other`,
    /primary key/,
  ],
  [
    'one in the place of the tombstones',
    `CREATE TABLE $.checkpoints (${OURS}); CREATE TABLE $.checkpoints_tombstones (grave TEXT)`,
    /checkpoints_tombstones is not what belongs to the checkpoint table .*: column scope is missing/,
  ],
  [
    'one in the place of the ledger',
    'CREATE TABLE $.checkpoints_migrations (version TEXT, name TEXT)',
    /checkpoints_migrations is not what belongs .*: column version is text, not integer/,
  ],
];

async function inSchema({ pool, schema }: Place, sql: string): Promise<void> {
  await pool.query(sql.replaceAll('$', schema));
}

describe('a table of another program', () => {
  it.each(FOREIGN)(
    'such as %s is said to be that; there is no other finding on it, and nothing is sent',
    async (_, sql, says) => {
      const place = await testPlace();
      await startWriter(place, { checkpoints: false, sinks: [otherSink()] });
      await inSchema(place, sql);
      const found = await diagnosis(place);
      expect(found['postgres.schema']).toMatchObject({
        severity: 'error',
        seen: expect.stringMatching(says),
        todo: expect.stringContaining('CKPT_SCHEMA'),
      });
      expect(found['pipeline.probe']?.seen).toBe('left out: see postgres.schema');
      const others = Object.values(found).filter(({ check }) => /^(postgres|privileges)\./.test(check));
      for (const { check, severity, seen, todo } of others) {
        if (check === 'postgres.schema') continue;
        expect({ check, severity }).toEqual({ check, severity: 'ok' });
        expect(`${seen} ${todo}`).not.toMatch(/checkpoints|PRIMARY KEY|INDEX/);
      }
    },
  );

  it('is refused by stores and workers, too, where it has the name of one beside the checkpoint table', async () => {
    for (const [what, sql, says] of FOREIGN.slice(-2)) {
      const place = await testPlace();
      await inSchema(place, sql);
      const mismatch = { code: 'SCHEMA_MISMATCH', message: expect.stringMatching(says) };
      await expect(testStore(place).initSchema(), what).rejects.toMatchObject(mismatch);
      await expect(startWriter(place), what).rejects.toMatchObject(mismatch);
    }
  });

  it('in the place of one of LangGraph is said to be that, and the checkpoint tables are looked at all the same', async () => {
    const place = await testPlace();
    await testStore(place).initSchema();
    const graph = await testPlace();
    await migrateGraphTables(new Database(graph.pool), graphTableNames(graph.schema));
    await inSchema(graph, 'DROP TABLE $.checkpoint_writes; CREATE TABLE $.checkpoint_writes (pen TEXT)');
    const found = await diagnosis(place, { graphSchema: graph.schema });
    expect(found['postgres.langgraph']).toMatchObject({
      severity: 'error',
      seen: expect.stringMatching(/checkpoint_writes is not a table of LangGraph's PostgresSaver/),
      todo: expect.stringContaining('CKPT_LANGGRAPH_SCHEMA'),
    });
    expect(found['privileges.langgraph']).toBeUndefined();
    expect(found['postgres.dead-tuples']?.seen).not.toContain('checkpoint_writes');
    expect(found['postgres.indexes']).toMatchObject({
      severity: 'ok',
      seen: expect.stringMatching(/^all \d+ are there$/),
    });
  });
});

/** So that a worker of this queue runs, whatever the checkpoint table is. */
function otherSink() {
  return {
    name: 'other',
    target: 'other',
    openBatch: '',
    createdOnDemand: true,
    migrate: async () => {},
    check: () => {},
    identify: () => ({ id: '', executionId: '' }),
    stage: () => {
      throw new Error('nothing is saved to it');
    },
  };
}
