import { once } from 'node:events';
import { expect, it } from 'vitest';
import { newCheckpoint } from '../contract/checkpoints.js';
import { poisonablePlace, refused } from '../dead-letters/letters.js';
import { TcpProxy } from '../faults/tcp-proxy.js';
import { patient } from '../patience.js';
import { services } from '../services.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { runCli, startCli } from './cli.js';

const envOf = ({ postgres, redis, schema, queue }: Place): NodeJS.ProcessEnv => ({
  DATABASE_URL: postgres,
  REDIS_URL: redis,
  CKPT_SCHEMA: schema,
  CKPT_QUEUE: queue,
});

it('doctor exits with 0 where all is well, and prints one line for each check', async () => {
  const place = await testPlace();
  await startWriter(place);
  await expect.poll(() => place.client.hlen(place.keys.workers)).toBe(1);
  const { code, stdout, stderr } = await runCli(['doctor'], envOf(place));
  expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^ok {7}redis\.eviction-policy +noeviction$/m);
  expect(stdout).toMatch(/^ok {7}pipeline\.probe +acknowledged in \d+ ms/m);
  expect(stdout).toMatch(/\n39 checks: 0 errors, 0 warnings\n$/);
});

it('doctor exits with 1 where there are warnings, and says what to do', async () => {
  const place = await poisonablePlace();
  await refused(place);
  const { code, stdout } = await runCli(['doctor'], envOf(place));
  expect(code).toBe(1);
  expect(stdout).toMatch(
    /^warning {2}queue\.dead-letters +PostgreSQL refused 1 saves\n +→ See why: ckpt dead list\./m,
  );
});

it('doctor exits with 2 where there are errors, and tells them as JSON', async () => {
  const place = await testPlace();
  const store = testStore(place);
  await store.initSchema();
  await store.save(newCheckpoint());
  await place.pool.query(`DROP INDEX ${place.schema}.idx_checkpoints_timestamp`);
  const { code, stdout } = await runCli(['doctor', '--json'], envOf(place));
  expect(code).toBe(2);
  const { severity, findings } = JSON.parse(stdout);
  expect(severity).toBe('error');
  expect(findings.filter((finding: { severity: string }) => finding.severity !== 'ok')).toEqual([
    {
      check: 'postgres.indexes',
      severity: 'error',
      seen: 'missing or not valid: idx_checkpoints_timestamp',
      todo: `CREATE INDEX CONCURRENTLY "idx_checkpoints_timestamp" ON "${place.schema}"."checkpoints" (timestamp);`,
    },
    expect.objectContaining({ check: 'queue.workers', severity: 'error' }),
    expect.objectContaining({ check: 'pipeline.probe', severity: 'warning' }),
  ]);
});

it('doctor exits with 2 where it can reach neither service, in time and without their passwords', async () => {
  const began = performance.now();
  const { code, stdout, stderr } = await runCli(['doctor', '--timeout', '2'], {
    DATABASE_URL: 'postgresql://me:hunter2@127.0.0.1:1/none',
    REDIS_URL: 'redis://:hunter2@127.0.0.1:1',
  });
  expect(code).toBe(2);
  expect(stdout).toMatch(/^error {4}redis\.connection +cannot be reached: ECONNREFUSED$/m);
  expect(stdout).toMatch(/^error {4}postgres\.connection +PostgreSQL cannot be reached: ECONNREFUSED$/m);
  expect(stdout + stderr).not.toContain('hunter2');
  expect(performance.now() - began).toBeLessThan(patient(15_000));
});

it('doctor ends at once on Ctrl-C, also where a server does not answer', async () => {
  const proxy = await TcpProxy.before(services().databaseUrl);
  proxy.stall();
  const doctor = startCli(['doctor', '--timeout', '300'], { DATABASE_URL: proxy.url });
  doctor.stdout?.resume();
  await expect.poll(() => proxy.connections, { timeout: 20_000 }).toBeGreaterThan(0);
  const began = performance.now();
  doctor.kill('SIGINT');
  expect(await once(doctor, 'exit')).toEqual([130, null]);
  expect(performance.now() - began).toBeLessThan(patient(10_000));
});

it.each(['0', '301', 'soon'])('doctor refuses a timeout of %s', async (timeout) => {
  const { code, stderr } = await runCli(['doctor', '--timeout', timeout, '--json']);
  expect(code).toBe(2);
  expect(JSON.parse(stderr).error.field).toBe('--timeout');
});
