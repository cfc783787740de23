import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../../src/services/free-port.js';
import { logged, runCli, startCli } from '../cli/cli.js';
import { TcpProxy } from '../faults/tcp-proxy.js';
import { services, testQueue } from '../services.js';
import { testPlace } from '../store/place.js';
import { TOKEN } from './serving.js';

/** What a person waits for Ctrl-C, and an orchestrator for a stop. */
const STOP_MS = 2000;

describe('ckpt dashboard', { timeout: 60_000 }, () => {
  it('prints where it is, serves there, and ends with SIGTERM although somebody holds a connection', async () => {
    const { dashboard, url } = await started();
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/dashboard\/$/);
    await heldConnection(`${url}api/overview`);
    expect(await stopped(dashboard, 'SIGTERM')).toEqual({ code: 0, inTime: true });
  });

  it('ends with Ctrl-C', async () => {
    const { dashboard } = await started();
    expect(await stopped(dashboard, 'SIGINT')).toEqual({ code: 0, inTime: true });
  });

  it('starts while Redis and PostgreSQL are away, and ends in time', async () => {
    const { dashboard, url } = await started({
      REDIS_URL: `redis://127.0.0.1:${await freePort()}`,
      DATABASE_URL: `postgresql://nobody@127.0.0.1:${await freePort()}/none`,
    });
    expect(await overviewAt(url)).toMatchObject({ redis: 'down', postgres: 'down' });
    expect(await stopped(dashboard, 'SIGTERM')).toEqual({ code: 0, inTime: true });
  });

  it('ends in time while both answer nothing', async () => {
    const { redisUrl, databaseUrl } = services();
    const [redis, postgres] = [await TcpProxy.before(redisUrl), await TcpProxy.before(databaseUrl)];
    const { dashboard, url } = await started({ REDIS_URL: redis.url, DATABASE_URL: postgres.url });
    expect(await overviewAt(url)).toMatchObject({ redis: 'up', postgres: 'up' });
    redis.stall();
    postgres.stall();
    const asked = fetch(`${url}api/executions`).catch(() => {});
    await fetch(`${url}api/executions/run/checkpoints`, { signal: AbortSignal.timeout(300) }).catch(() => {});
    expect(await stopped(dashboard, 'SIGTERM')).toEqual({ code: 0, inTime: true });
    await asked;
  });

  it('refuses to be open to others, and says how to make a token', async () => {
    const { code, stdout, stderr } = await runCli([
      'dashboard',
      '--host',
      '0.0.0.0',
      '--port',
      '0',
      '--json',
    ]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(JSON.parse(stderr).error).toMatchObject({
      field: 'CKPT_DASHBOARD_TOKEN',
      message: expect.stringContaining('openssl rand -hex 32'),
    });
  });

  it('is open to others with a token, which it asks for', async () => {
    const { url } = await started({ CKPT_DASHBOARD_TOKEN: TOKEN }, ['--host', '0.0.0.0']);
    const there = url.replace('0.0.0.0', '127.0.0.1');
    expect((await fetch(`${there}api/overview`)).status).toBe(401);
    const authorization = `Bearer ${TOKEN}`;
    expect((await fetch(`${there}api/overview`, { headers: { authorization } })).status).toBe(200);
  });

  it('says which port another program has', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void other.close());
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const { code, stderr } = await runCli(['dashboard', `--port=${port}`, '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stderr).error).toEqual({
      code: 'HTTP_LISTEN',
      message: `Cannot listen at 127.0.0.1, port ${port}: another program has this port (--host, --port)`,
    });
  });

  it('refuses a port that is none', async () => {
    const { code, stderr } = await runCli(['dashboard', '--port=65536', '--json']);
    expect({ code, field: JSON.parse(stderr).error.field }).toEqual({ code: 2, field: '--port' });
  });
});

describe('a worker with CKPT_DASHBOARD=true', { timeout: 60_000 }, () => {
  it('serves the dashboard behind its door, beside health and metrics that stay open', async () => {
    const { port } = await startedWorker({ CKPT_DASHBOARD: 'true', CKPT_DASHBOARD_TOKEN: TOKEN });
    const base = `http://127.0.0.1:${port}`;
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      expect((await fetch(base + path)).status).toBe(200);
    }
    expect((await fetch(`${base}/dashboard/api/overview`)).status).toBe(401);
    const headers = { authorization: `Bearer ${TOKEN}` };
    const answer = await fetch(`${base}/dashboard/api/overview`, { headers });
    expect(await answer.json()).toMatchObject({
      redis: 'up',
      postgres: 'up',
      workers: [{ breaker: 'closed' }],
    });
  });

  it('serves none without it', async () => {
    const { port } = await startedWorker({});
    expect((await fetch(`http://127.0.0.1:${port}/dashboard/`)).status).toBe(404);
  });

  it('stops on SIGTERM as without it', async () => {
    const { worker, port } = await startedWorker({ CKPT_DASHBOARD: 'true' });
    await heldConnection(`http://127.0.0.1:${port}/dashboard/api/overview`);
    worker.kill('SIGTERM');
    expect(await once(worker, 'exit')).toEqual([0, null]);
  });

  it.each([
    ['CKPT_HTTP_PORT', { CKPT_DASHBOARD: 'true' }],
    ['CKPT_DASHBOARD_TOKEN', { CKPT_DASHBOARD: 'true', CKPT_HTTP_PORT: '9464', CKPT_HTTP_HOST: '0.0.0.0' }],
  ])('does not start where %s is missing', async (field, env) => {
    const { code, stderr } = await runCli(['worker', '--json'], { CKPT_QUEUE: testQueue(), ...env });
    expect({ code, field: JSON.parse(stderr).error.field }).toEqual({ code: 2, field });
  });
});

it('ckpt config does not print the token', async () => {
  const printed = [['config'], ['config', '--json']].map((args) =>
    runCli(args, { CKPT_DASHBOARD_TOKEN: TOKEN }),
  );
  for (const { stdout } of await Promise.all(printed)) {
    expect(stdout).toContain('CKPT_DASHBOARD_TOKEN');
    expect(stdout).not.toContain(TOKEN);
  }
});

async function started(
  env: NodeJS.ProcessEnv = {},
  args: string[] = [],
): Promise<{ dashboard: ChildProcess; url: string }> {
  const { schema, queue } = await testPlace();
  const dashboard = startCli(['dashboard', '--port', '0', '--json', ...args], {
    CKPT_SCHEMA: schema,
    CKPT_QUEUE: queue,
    ...env,
  });
  endWithTest(dashboard);
  const [line] = await once(dashboard.stdout as NodeJS.ReadableStream, 'data');
  return { dashboard, url: JSON.parse(String(line)).url };
}

async function startedWorker(env: NodeJS.ProcessEnv): Promise<{ worker: ChildProcess; port: number }> {
  const { schema, queue } = await testPlace();
  const port = await freePort();
  const worker = startCli(['worker'], {
    CKPT_SCHEMA: schema,
    CKPT_QUEUE: queue,
    CKPT_HTTP_PORT: String(port),
    ...env,
  });
  endWithTest(worker);
  await logged(worker, 'writer started');
  worker.stdout?.resume();
  return { worker, port };
}

function endWithTest(child: ChildProcess): void {
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
}

async function stopped(child: ChildProcess, signal: NodeJS.Signals) {
  const began = performance.now();
  child.kill(signal);
  const [code] = await once(child, 'exit');
  return { code, inTime: performance.now() - began < STOP_MS };
}

async function overviewAt(url: string): Promise<unknown> {
  return (await fetch(`${url}api/overview`)).json();
}

/** Asks once, over a connection that stays open. */
async function heldConnection(url: string): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  const asked = request(url, { agent }).end();
  const [response] = await once(asked, 'response');
  response.resume();
  await once(response, 'end');
}
