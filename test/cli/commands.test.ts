import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PostgresCheckpointStore } from '../../src/index.js';
import { SCHEMA_VERSION } from '../../src/postgres/schema.js';
import { startRedis } from '../../src/services/redis-server.js';
import { services, type TestSchema, testQueue, testSchema } from '../services.js';
import { logged, runCli, startCli } from './cli.js';

let place: TestSchema;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  place = await testSchema();
  env = { CKPT_SCHEMA: place.schema, CKPT_QUEUE: testQueue() };
});

afterEach(() => place.drop());

test('init creates the tables, again and six times at once', async () => {
  const results = await Promise.all(Array.from({ length: 6 }, () => runCli(['init', '--json'], env)));

  expect(results.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
    results.map(() => ({ code: 0, stderr: '' })),
  );
  expect(JSON.parse(results[0]?.stdout as string)).toEqual({
    table: `${place.schema}.checkpoints`,
    schemaVersion: SCHEMA_VERSION,
  });
  expect((await runCli(['init'], env)).stdout).toContain(`schema version ${SCHEMA_VERSION}`);
});

test('init --partition-by makes a partitioned table, and refuses one that is there and is not', async () => {
  const partition = (...args: string[]) => runCli(['init', '--json', '--partition-by', ...args], env);
  const made = await partition('month', '--partitions-from', '2020-01-15');
  expect(made).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(made.stdout).partitions).toContain('checkpoints_p202001');
  expect(await partition('year')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--partition-by'),
  });
  const plain = { ...env, CKPT_TABLE: 'plain' };
  expect(await runCli(['init'], plain)).toMatchObject({ code: 0 });
  const refused = await runCli(['init', '--partition-by', 'month'], plain);
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('is not partitioned') });
});

test('what is saved from JSON lines is committed by a worker and can be loaded, listed, deleted and cleared', async () => {
  const worker = startCli(['worker'], env);
  await logged(worker, 'writer started');
  const lines = [
    { id: 'a', executionId: 'run', nodeName: 'plan', state: { n: 1 }, timestamp: '2026-01-01T00:00:00.000Z' },
    {
      id: 'b',
      metadata: { execution_id: 'run' },
      node_name: 'act',
      state: [2],
      timestamp: '2026-01-02T00:00:00.000Z',
    },
  ];

  const saved = await runCli(
    ['save', '-', '--wait', '--json'],
    env,
    lines.map((line) => JSON.stringify(line)).join('\n'),
  );
  expect(JSON.parse(saved.stdout)).toMatchObject({ saved: 2, bad: 0, state: 'committed', committed: 2 });

  const loaded = await runCli(['load', 'a', '--json'], env);
  expect(JSON.parse(loaded.stdout)).toEqual({ ...lines[0], metadata: null, version: 1 });
  const latest = await runCli(['latest', 'run', '--consistency', 'latest', '--json'], env);
  expect(JSON.parse(latest.stdout).id).toBe('b');
  const after = await runCli(['list', 'run', '--after', '2026-01-01T00:00:00.000Z', '--json'], env);
  expect(JSON.parse(after.stdout).map(({ id }: { id: string }) => id)).toEqual(['b']);
  expect((await runCli(['list', 'run'], env)).stdout).toMatch(
    /^id +node +version[\s\S]*\na +plan[\s\S]*\nb +act/,
  );

  const stats = JSON.parse((await runCli(['stats', '--json'], env)).stdout);
  expect(stats).toMatchObject({ waiting: 0, active: 0, failed: 0, counters: { committed: 2 } });

  expect((await runCli(['delete', 'a'], env)).code).toBe(0);
  const gone = await runCli(['load', 'a', '--json'], env);
  expect(gone.code).toBe(1);
  expect(JSON.parse(gone.stderr).error.code).toBe('CHECKPOINT_NOT_FOUND');

  expect((await runCli(['clear', 'run'], env)).code).toBe(2); // nobody to ask
  expect((await runCli(['clear', 'run', '--yes'], env)).code).toBe(0);
  expect(JSON.parse((await runCli(['list', 'run', '--json'], env)).stdout)).toEqual([]);

  worker.kill('SIGTERM');
  expect(await once(worker, 'exit')).toEqual([0, null]);
});

test('a bad line stops the command, says which line and field, and loses nothing before it', async () => {
  const lines = [
    '{"id":"a","executionId":"run","nodeName":"n","state":1}',
    '{"id":"b","executionId":"run","nodeName":"n"}',
  ];

  const stopped = await runCli(['save', '-'], env, lines.join('\n'));
  expect(stopped.code).toBe(1);
  expect(stopped.stderr).toContain('line 2: Invalid checkpoint: state');
  expect(stopped.stderr).toContain('1 saves were acknowledged before');

  const skipped = await runCli(['save', '-', '--skip-bad', '--json'], env, [...lines, ...lines].join('\n'));
  expect(skipped.code).toBe(1);
  expect(JSON.parse(skipped.stdout)).toEqual({ saved: 2, bad: 2, state: 'acknowledged' });
});

test('a worker that is stopped under load ends cleanly, and the next one commits what is left', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ckpt-cli-'));
  const file = join(folder, 'saves.jsonl');
  const count = 20_000;
  const line = (n: number) =>
    JSON.stringify({ id: `c${n}`, executionId: 'run', nodeName: 'n', state: { n } });
  await writeFile(file, Array.from({ length: count }, (_, n) => line(n)).join('\n'));
  const first = startCli(['worker', '--max-batch-records', '500'], env);
  await logged(first, 'writer started');

  const saving = runCli(['save', file, '--wait', '--json'], env);
  await untilSomeAreStored();
  first.kill('SIGTERM');
  expect(await once(first, 'exit')).toEqual([0, null]);
  const second = startCli(['worker'], env);

  expect(JSON.parse((await saving).stdout)).toMatchObject({
    saved: count,
    committed: count,
    state: 'committed',
  });
  second.kill('SIGTERM');
  await once(second, 'exit');
  const store = new PostgresCheckpointStore({ postgres: services().databaseUrl, schema: place.schema });
  expect(await store.list('run')).toHaveLength(count);
  await store.close();
  await rm(folder, { recursive: true });

  async function untilSomeAreStored(): Promise<void> {
    const reader = new PostgresCheckpointStore({ postgres: services().databaseUrl, schema: place.schema });
    await expect
      .poll(() => reader.list('run', { limit: 1 }), { interval: 20, timeout: 15_000 })
      .toHaveLength(1);
    await reader.close();
  }
});

test('a worker ends on SIGTERM also when Redis has gone away', async () => {
  const redis = await startRedis();
  const worker = startCli(['worker', '--shutdown-deadline-ms', '500'], { ...env, REDIS_URL: redis.url });
  await logged(worker, 'writer started');
  await redis.kill('SIGKILL');

  worker.stdout?.resume();
  worker.kill('SIGTERM');

  expect(await once(worker, 'exit')).toEqual([0, null]);
  await redis.stop();
});

test('a command that waits ends on Ctrl-C with exit code 130', async () => {
  const save = startCli(['save', '-', '--wait'], env); // no worker will ever commit it
  save.stdin?.end('{"id":"a","executionId":"run","nodeName":"n","state":1}');
  save.stderr?.resume();
  await expect.poll(() => oldestAge(), { timeout: 15_000 }).toBeGreaterThanOrEqual(0);

  save.kill('SIGINT');

  expect(await once(save, 'exit')).toEqual([130, null]);

  async function oldestAge(): Promise<number> {
    return JSON.parse((await runCli(['stats', '--json'], env)).stdout).oldestAgeMs ?? -1;
  }
});

test('no password is shown, neither by config nor in the error of a service that refuses it', async () => {
  const secret = 'canary-5ecret';
  const wrong = new URL(services().databaseUrl);
  wrong.password = secret;
  const secretEnv = {
    ...env,
    DATABASE_URL: wrong.toString(),
    REDIS_URL: `redis://user:${secret}@127.0.0.1:1`,
  };
  const runs = await Promise.all(
    [['config'], ['config', '--json'], ['init'], ['load', 'x'], ['delete', 'x'], ['stats', '--json']].map(
      (args) => runCli(args, { ...secretEnv, CKPT_LOG_LEVEL: 'trace', CKPT_ENQUEUE_TIMEOUT_MS: '500' }),
    ),
  );

  expect(runs.map(({ code }) => code)).toEqual([0, 0, 1, 1, 1, 1]);
  for (const { stdout, stderr } of runs) expect(stdout + stderr).not.toContain(secret);
  expect(runs[2]?.stderr).toContain('28P01');
});

test.each([
  ['CKPT_SCHEMA', 'pg_secret'],
  ['CKPT_TABLE', 'secret'.repeat(10)],
  ['DATABASE_URL', 'not a dsn with secret'],
  ['REDIS_URL', 'http://secret'],
  ['REDIS_URL', 'redis://host/secret'],
  ['DATABASE_URL', 'postgresql://me:12#secret@host/db'],
  ['DATABASE_URL', 'postgresql://me:12/secret@host/db'],
  ['CKPT_CONCURRENCY', 'abc'],
  ['CKPT_CONCURENCY', '5'],
])('a bad %s is refused with exit code 2 and its name, not its value', async (variable, value) => {
  const { code, stderr } = await runCli(['stats', '--json'], { ...env, [variable]: value });

  expect(code).toBe(2);
  expect(JSON.parse(stderr).error.field).toBe(variable);
  expect(stderr).not.toContain('secret');
});

test('without services it says which variable is missing and how to go on', async () => {
  const { code, stderr } = await runCli(['list', 'run'], { ...env, DATABASE_URL: '' });

  expect(code).toBe(2);
  expect(stderr).toContain('DATABASE_URL is not set');
  expect(stderr).toContain('ckpt demo');
});

test('--help names every command', async () => {
  const { code, stdout } = await runCli(['--help']);

  expect(code).toBe(0);
  for (const name of [
    'init',
    'worker',
    'save',
    'load',
    'latest',
    'list',
    'delete',
    'clear',
    'dead',
    'stats',
    'doctor',
    'config',
    'demo',
  ]) {
    expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
  }
});
