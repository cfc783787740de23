import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../../src/services/free-port.js';
import { loadTelemetry } from '../../workers/telemetry.js';
import { logged, runCli, startCli } from '../cli/cli.js';
import { patient } from '../patience.js';
import { type TestSchema, testQueue, testSchema } from '../services.js';

let place: TestSchema;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  place = await testSchema();
  env = { CKPT_SCHEMA: place.schema, CKPT_QUEUE: testQueue() };
});

afterEach(() => place.drop());

describe('ckpt worker', () => {
  it.runIf(process.platform === 'linux')('listens nowhere unless a port is set', async () => {
    const worker = await startedWorker();
    expect(await listeningPorts(worker.pid as number)).toEqual([]);

    const httpPort = String(await freePort());
    const serving = await startedWorker({ CKPT_HTTP_PORT: httpPort });
    expect(await listeningPorts(serving.pid as number)).toEqual([Number(httpPort)]);
  });

  it('serves health and metrics at its port, to this machine alone', async () => {
    const port = await freePort();
    await startedWorker({ CKPT_HTTP_PORT: String(port) });
    for (const [path, status, body] of [
      ['/healthz', 200, '"alive":true'],
      ['/readyz', 200, '"ready":true'],
      ['/metrics', 200, '# TYPE ckpt_save_to_commit_seconds histogram'],
    ] as const) {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      expect(response.status).toBe(status);
      expect(await response.text()).toContain(body);
    }
    for (const address of outsideAddresses()) {
      await expect(fetch(`http://${address}:${port}/healthz`)).rejects.toThrow('fetch failed');
    }
  });

  it('listens where it is told to', async () => {
    const port = await freePort();
    await startedWorker({ CKPT_HTTP_PORT: String(port), CKPT_HTTP_HOST: '0.0.0.0' });
    for (const address of ['127.0.0.1', ...outsideAddresses()]) {
      expect((await fetch(`http://${address}:${port}/healthz`)).status).toBe(200);
    }
  });

  it('does not start where the port is taken, and says which setting it is', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    onTestFinished(() => void taken.close());
    const { port } = taken.address() as { port: number };
    const { code, stderr } = await runCli(['worker', '--json'], { ...env, CKPT_HTTP_PORT: String(port) });
    expect(code).toBe(1);
    expect(JSON.parse(stderr).error).toEqual({
      code: 'HTTP_LISTEN',
      message: `Cannot listen at 127.0.0.1, port ${port}: another program has this port (CKPT_HTTP_HOST, CKPT_HTTP_PORT)`,
    });
  });

  it('stops on SIGTERM although somebody holds a connection open', async () => {
    const port = await freePort();
    const worker = await startedWorker({ CKPT_HTTP_PORT: String(port) });
    await (await fetch(`http://127.0.0.1:${port}/healthz`, { keepalive: true })).text();
    const began = performance.now();
    worker.kill('SIGTERM');
    expect(await once(worker, 'exit')).toEqual([0, null]);
    expect(performance.now() - began).toBeLessThan(patient(8000));
  });

  it('refuses settings that make no sense, by their names', async () => {
    for (const [variable, value] of [
      ['CKPT_HTTP_PORT', '70000'],
      ['CKPT_HTTP_HOST', 'not a host'],
      ['CKPT_OTEL', 'yes'],
    ]) {
      const { code, stderr } = await runCli(['worker', '--json'], { ...env, [variable as string]: value });
      expect({ code, field: JSON.parse(stderr).error.field }).toEqual({ code: 2, field: variable });
    }
  });

  it('takes CKPT_OTEL=true where the package is there', async () => {
    const worker = await startedWorker({ CKPT_OTEL: 'true' });
    worker.kill('SIGTERM');
    expect(await once(worker, 'exit')).toEqual([0, null]);
  });
});

it('CKPT_OTEL without the package says what to install', async () => {
  const missing = () => Promise.reject(new Error("Cannot find package 'bullmq-otel'"));
  await expect(loadTelemetry(missing)).rejects.toMatchObject({
    code: 'INVALID_CONFIG',
    field: 'CKPT_OTEL',
    message: expect.stringContaining('npm install bullmq-otel @opentelemetry/api'),
  });
});

async function startedWorker(settings: NodeJS.ProcessEnv = {}): Promise<ChildProcess> {
  const worker = startCli(['worker'], { ...env, ...settings });
  onTestFinished(async () => {
    if (worker.exitCode !== null || worker.signalCode !== null) return;
    worker.kill('SIGKILL');
    await once(worker, 'exit');
  });
  await logged(worker, 'writer started');
  worker.stdout?.resume();
  return worker;
}

/** This machine's addresses in its networks. */
function outsideAddresses(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((found) => found ?? []);
  return addresses
    .filter(({ internal, family }) => !internal && family === 'IPv4')
    .map(({ address }) => address);
}

/** The TCP ports on which a process listens, by what Linux says of it. */
async function listeningPorts(pid: number): Promise<number[]> {
  const LISTEN = '0A';
  const files = await readdir(`/proc/${pid}/fd`);
  const links = await Promise.all(files.map((file) => readlink(`/proc/${pid}/fd/${file}`).catch(() => '')));
  const sockets = new Set(links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1]).filter(Boolean));
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8')),
  );
  const rows = tables
    .flatMap((table) => table.trim().split('\n').slice(1))
    .map((row) => row.trim().split(/\s+/));
  return rows
    .filter((row) => row[3] === LISTEN && sockets.has(row[9]))
    .map((row) => Number.parseInt((row[1] as string).split(':')[1] as string, 16));
}
