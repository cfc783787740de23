import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { type Acknowledged, Oracle } from '../../src/cli/demo/oracle.js';
import { WorkerReplicas } from '../../src/cli/demo/worker-replicas.js';
import { builtInWorkload, traceWorkload } from '../../src/cli/demo/workload.js';
import { MemoryCheckpointStore } from '../../src/index.js';
import { services, testQueue } from '../services.js';
import { runCli, startCli } from './cli.js';

test('the demo finds everything it saved, says so in one JSON object, and leaves nothing behind', async () => {
  const { code, stdout } = await runCli([
    'demo',
    '--agents',
    '5',
    '--saves',
    '25',
    '--workers',
    '2',
    '--json',
  ]);

  const result = JSON.parse(stdout);
  expect(result).toMatchObject({
    agents: 5,
    saves: 125,
    acknowledged: 125,
    committed: 125,
    missing: 0,
    stale: 0,
  });
  expect(result.saveLatencyMs).toEqual({ p50: expect.any(Number), p99: expect.any(Number) });
  for (const figure of ['committedPerSecond', 'batches', 'durationMs'])
    expect(result[figure]).toBeGreaterThan(0);
  expect(code).toBe(0);
  expect(await schemasLike(result.schema)).toEqual([]);
  expect(await keysOf(result.queue)).toEqual([]);
});

test('it replays recorded runs, an agent for each file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ckpt-traces-'));
  const step = (n: number) =>
    JSON.stringify({ step: n, action: n === 1 ? '' : `open file${n}`, observation: '\0 é' });
  for (const name of ['one', 'two'])
    await writeFile(join(folder, `${name}.jsonl`), [0, 1, 2].map(step).join('\n'));

  const { code, stdout } = await runCli(['demo', '--trace', folder, '--json']);

  expect(JSON.parse(stdout)).toMatchObject({ agents: 2, saves: 6, acknowledged: 6, missing: 0, stale: 0 });
  expect(code).toBe(0);
  await rm(folder, { recursive: true });
});

test('a recorded run is replayed to its last step, steps that are saved twice included', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ckpt-traces-'));
  const lines = Array.from({ length: 20 }, (_, step) => JSON.stringify({ step, action: ' \0open\ud800' }));
  await writeFile(join(folder, 'one.jsonl'), lines.join('\n'));

  const [agent] = await traceWorkload(folder);
  const saves = [...(agent?.steps() ?? [])];

  expect(saves).toHaveLength(agent?.saves as number);
  expect(new Set(saves.map(({ id }) => id)).size).toBe(20);
  expect(saves.at(-1)).toMatchObject({ nodeName: 'open', state: { step: 19 } });
  await rm(folder, { recursive: true });
});

test.each([1, 9, 10, 11, 40])('an agent that is to make %i saves makes as many', (saves) => {
  const [agent] = builtInWorkload(1, saves, 1000);
  expect([...(agent?.steps() ?? [])]).toHaveLength(saves);
});

test('a Redis that is not there is said at once, with exit code 1', async () => {
  const { code, stderr } = await runCli(['demo', '--json'], { REDIS_URL: 'redis://127.0.0.1:1' });

  expect(code).toBe(1);
  expect(JSON.parse(stderr).error.code).toBe('QUEUE_UNAVAILABLE');
});

test('the demo does not wait for a commit when no worker is left', async () => {
  const { databaseUrl, redisUrl } = services();
  const replicas = new WorkerReplicas();
  const settings = { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, CKPT_QUEUE: testQueue() };
  await replicas.start(1, { ...settings, NODE_OPTIONS: '--import tsx' });
  expect(replicas.allGone.aborted).toBe(false);

  const allGone = once(replicas.allGone, 'abort');
  process.kill(replicas.pids[0] as number, 'SIGKILL');

  await allGone;
  await replicas.stop();
});

test('Ctrl-C ends it with exit code 130, workers and schema included', async () => {
  const demo = startCli(['demo', '--agents', '20', '--saves', '100000', '--workers', '1']);
  let progress = '';
  for await (const text of demo.stderr?.iterator({ destroyOnReturn: false }) ?? []) {
    progress += text;
    if (/acknowledged [1-9]/.test(progress)) break;
  }
  demo.kill('SIGINT');

  let summary = '';
  demo.stdout?.on('data', (text) => {
    summary += text;
  });
  expect(await once(demo, 'close')).toEqual([130, null]);
  expect(summary).toMatch(/^interrupted: \d+ of 2000000 saves acknowledged/);
  expect(await schemasLike('ckpt\\_demo\\_%')).toEqual([]);
});

test.each([
  ['--agents', '0'],
  ['--saves', '1.5'],
  ['--workers', 'many'],
  ['--state-bytes', '-1'],
])('%s %s is wrong usage', async (option, value) => {
  const { code, stderr } = await runCli(['demo', option, value, '--json']);

  expect(code).toBe(2);
  expect(JSON.parse(stderr).error.field).toBe(option);
});

test('the comparison notices a checkpoint that is missing and one that is not the last that was saved', async () => {
  const store = new MemoryCheckpointStore();
  const oracle = new Oracle();
  const [agent] = builtInWorkload(1, 12, 1000);
  for (const step of agent?.steps() ?? []) {
    await store.save(step);
    oracle.acknowledged(step as Acknowledged);
  }
  expect(await oracle.verify(store, () => {})).toEqual({ missing: 0, stale: 0 });

  const [first, second] = await store.list('demo-agent-0');
  await store.delete(first?.id as string);
  await store.save({ ...second, id: second?.id as string, nodeName: 'elsewhere', state: second?.state });

  await store.save({ id: 'of nobody', executionId: 'demo-agent-0', nodeName: 'n', state: 1 });

  expect(await oracle.verify(store, () => {})).toEqual({ missing: 1, stale: 2 });
});

async function schemasLike(pattern: string): Promise<string[]> {
  const client = new Client({ connectionString: services().databaseUrl });
  await client.connect();
  const { rows } = await client.query('SELECT nspname FROM pg_namespace WHERE nspname LIKE $1', [pattern]);
  await client.end();
  return rows.map(({ nspname }) => nspname);
}

async function keysOf(queue: string): Promise<string[]> {
  const client = new Redis(services().redisUrl);
  const keys = await client.keys(`*${queue}*`);
  client.disconnect();
  return keys;
}
