import { describe, expect, it, onTestFinished } from 'vitest';
import type { Finding } from '../../src/doctor/finding.js';
import { CheckpointWriter, QueuedCheckpointStore } from '../../src/index.js';
import { langGraphSink, QueuedPostgresSaver } from '../../src/langgraph/index.js';
import { Database } from '../../src/postgres/database.js';
import { migrateGraphTables } from '../../src/postgres/graph-schema.js';
import { graphTableNames } from '../../src/postgres/graph-tables.js';
import { type Period, tableNames } from '../../src/postgres/identifiers.js';
import { migrate } from '../../src/postgres/schema.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { asSuperuser, testDatabase, testRole } from '../postgres/test-database.js';
import { services, testQueue } from '../services.js';
import { diagnosis } from './diagnosis.js';

/** A database whose tables belong to the superuser, and a role that may do what is granted to it. */
interface Guarded {
  readonly admin: string;
  readonly role: string;
  readonly url: string;
  readonly queue: string;
  readonly look: () => Promise<Record<string, Finding>>;
  readonly grant: (sql: string) => Promise<void>;
}

const GRAPH_SCHEMA = 'langgraph';
const ALL_GRANTED = `
  GRANT USAGE ON SCHEMA public, langgraph TO $;
  GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, langgraph TO $;`;

async function guarded({
  tables = true,
  partitionBy,
  granted = ALL_GRANTED,
}: {
  tables?: boolean;
  partitionBy?: Period;
  granted?: string;
} = {}): Promise<Guarded> {
  const admin = await testDatabase();
  const database = new Database(admin);
  if (tables) {
    await migrate(database, tableNames({ partitionBy }));
    await migrateGraphTables(database, graphTableNames(GRAPH_SCHEMA));
  }
  await database.close();
  const { role, url } = await testRole(admin);
  const queue = testQueue();
  const grant = async (sql: string) => {
    await asSuperuser(sql.replaceAll('$', role), admin);
  };
  if (tables) await grant(granted);
  const look = () =>
    diagnosis({ redis: services().redisUrl, postgres: url, queue }, { graphSchema: GRAPH_SCHEMA });
  return { admin, role, url, queue, look, grant };
}

function errorsOf(found: Record<string, Finding>): Finding[] {
  return Object.values(found).filter(
    ({ check, severity }) => severity === 'error' && !check.startsWith('queue.'),
  );
}

describe('the doctor, on privileges,', () => {
  it('is content with a role that has what is needed, and does not own the tables', async () => {
    const { look } = await guarded();
    const found = await look();
    expect(errorsOf(found)).toEqual([]);
    for (const check of [
      'database',
      'schema',
      'owner',
      'checkpoints',
      'tombstones',
      'migrations',
      'langgraph',
    ]) {
      expect({ check, ...found[`privileges.${check}`] }).toMatchObject({ severity: 'ok' });
    }
  });

  it.each<[revoke: string, check: string, grant: string]>([
    ['REVOKE TEMPORARY ON DATABASE @ FROM PUBLIC', 'database', 'GRANT TEMPORARY ON DATABASE @ TO $;'],
    ['REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC', 'database', 'GRANT USAGE ON LANGUAGE plpgsql TO $;'],
    ['REVOKE USAGE ON SCHEMA public FROM $, PUBLIC', 'schema', 'GRANT USAGE ON SCHEMA public TO $;'],
    ['REVOKE USAGE ON SCHEMA langgraph FROM $', 'schema', 'GRANT USAGE ON SCHEMA langgraph TO $;'],
    ...['SELECT', 'INSERT', 'UPDATE', 'DELETE'].flatMap((privilege): [string, string, string][] => [
      [
        `REVOKE ${privilege} ON checkpoints FROM $`,
        'checkpoints',
        `GRANT ${privilege} ON "public"."checkpoints" TO $;`,
      ],
      [
        `REVOKE ${privilege} ON checkpoints_tombstones FROM $`,
        'tombstones',
        `GRANT ${privilege} ON "public"."checkpoints_tombstones" TO $;`,
      ],
    ]),
    [
      'REVOKE ALL ON checkpoints_migrations FROM $',
      'migrations',
      'GRANT SELECT ON "public"."checkpoints_migrations" TO $;',
    ],
    [
      'REVOKE UPDATE, DELETE ON langgraph.checkpoint_blobs FROM $',
      'langgraph',
      'GRANT UPDATE, DELETE ON "langgraph".checkpoint_blobs TO $;',
    ],
    [
      'REVOKE SELECT ON langgraph.checkpoint_queue_migrations FROM $',
      'langgraph',
      'GRANT SELECT ON "langgraph".checkpoint_queue_migrations TO $;',
    ],
  ])('after %s has a finding of its own, whose GRANT mends it', async (revoke, check, grant) => {
    const { admin, look, grant: run, role } = await guarded();
    const inDatabase = (sql: string) => sql.replaceAll('@', new URL(admin).pathname.slice(1));
    await run(inDatabase(revoke));
    const found = await look();
    expect(found[`privileges.${check}`]).toMatchObject({
      severity: 'error',
      seen: expect.stringContaining(role),
      todo: inDatabase(grant).replaceAll('$', role),
    });
    expect(found['pipeline.probe']).not.toMatchObject({ severity: 'ok' });
    await run(found[`privileges.${check}`]?.todo as string);
    expect(errorsOf(await look())).toEqual([]);
  });

  it('names all that a role lacks which may only read, and sends no checkpoint that it could not remove', async () => {
    const { look, role } = await guarded({
      granted: `GRANT USAGE ON SCHEMA public, langgraph TO $; GRANT SELECT ON ALL TABLES IN SCHEMA public TO $`,
    });
    const found = await look();
    const needed = 'INSERT, UPDATE, DELETE';
    expect(found['privileges.checkpoints']).toMatchObject({
      severity: 'error',
      seen: `${role} lacks ${needed} on "public"."checkpoints": reads work, and nothing that is saved or deleted is`,
      todo: `GRANT ${needed} ON "public"."checkpoints" TO ${role};`,
    });
    expect(found['privileges.tombstones']).toMatchObject({ severity: 'error' });
    expect(found['pipeline.probe']).toMatchObject({
      severity: 'warning',
      seen: 'left out: see privileges.checkpoints',
    });
  });

  it('finds what is needed to create tables, and a schema, that are missing', async () => {
    const { admin, look, grant, role, url } = await guarded({ tables: false });
    await grant('REVOKE CREATE ON SCHEMA public FROM PUBLIC');
    expect((await look())['privileges.schema']).toMatchObject({
      severity: 'error',
      todo: `GRANT CREATE ON SCHEMA public TO ${role};`,
    });
    const elsewhere = await diagnosis({ redis: services().redisUrl, postgres: url, schema: 'agents' });
    expect(elsewhere['privileges.schema']).toMatchObject({ severity: 'ok', seen: 'it is not there yet' });
    expect(elsewhere['privileges.database']).toMatchObject({
      severity: 'error',
      todo: `GRANT CREATE ON DATABASE ${new URL(admin).pathname.slice(1)} TO ${role};`,
    });
  });

  it('finds tables of an older release that belong to another role', async () => {
    const { look, grant, role } = await guarded();
    await grant('DELETE FROM checkpoints_migrations WHERE version > 1');
    expect((await look())['privileges.owner']).toMatchObject({
      severity: 'error',
      todo: expect.stringMatching(new RegExp(`^GRANT postgres TO ${role};`)),
    });
  });

  it('finds a partitioned table whose partitions the role may not make', async () => {
    const { look } = await guarded({ partitionBy: 'month' });
    const found = await look();
    expect(found['privileges.owner']).toMatchObject({
      severity: 'warning',
      todo: expect.stringContaining('GRANT postgres TO'),
    });
    expect(found['privileges.schema']).toMatchObject({
      todo: expect.stringContaining('GRANT CREATE ON SCHEMA'),
    });
  });

  it.each([undefined, 'month'] as const)(
    'says enough: with what it asks for, a role without any privileges can do all (partitions: %s)',
    async (partitionBy) => {
      const { look, grant, url, queue } = await guarded({ ...(partitionBy && { partitionBy }), granted: '' });
      for (let round = 1; ; round++) {
        const errors = errorsOf(await look());
        if (errors.length === 0) break;
        if (round === 4) expect(errors).toEqual([]);
        for (const { todo } of errors) if (todo?.startsWith('GRANT')) await grant(todo);
      }
      await doAll({ redis: services().redisUrl, postgres: url, queue });
    },
  );
});

/** What stores and workers do. */
async function doAll(place: { redis: string; postgres: string; queue: string }): Promise<void> {
  const store = new QueuedCheckpointStore({ ...place, maxQueuedBytes: 2000 });
  onTestFinished(() => store.close());
  const writer = new CheckpointWriter({ ...place, sinks: [langGraphSink()] });
  onTestFinished(() => writer.close());
  await writer.start();
  const checkpoint = newCheckpoint();
  await store.save(checkpoint, { ack: 'committed' });
  await store.save({ ...checkpoint, version: 2, timestamp: new Date('2020-01-01') }, { ack: 'committed' });
  await store.save(newCheckpoint({ state: 'x'.repeat(5000) }));
  await store.save({ ...checkpoint, version: 3 }, { expectedVersion: 2 });
  expect(await store.list(checkpoint.executionId)).toHaveLength(1);
  await store.prune({ executionId: checkpoint.executionId, olderThan: 1 });
  await store.delete(checkpoint.id as string);
  await store.clear(checkpoint.executionId);
  expect(await store.list(checkpoint.executionId, { consistency: 'latest' })).toEqual([]);

  const saver = new QueuedPostgresSaver(place);
  onTestFinished(() => saver.end());
  const config = { configurable: { thread_id: 'thread', checkpoint_ns: '', checkpoint_id: 'one' } };
  await saver.putWrites(config, [['channel', 1]], 'task');
  await saver.flush('thread');
  await saver.deleteThread('thread');
  expect(writer.breaker.state).toBe('closed');
}
