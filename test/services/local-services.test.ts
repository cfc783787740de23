import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { startPostgres } from '../../src/services/embedded-postgres.js';
import { LocalServicesError, startLocalServices } from '../../src/services/local-services.js';
import { startRedis } from '../../src/services/redis-server.js';
import { startProgram } from '../child-process.js';
import { isRunning } from '../guarded-child.js';
import { services, testQueue, testSchema } from '../services.js';

/** No Docker engine, so that these tests are about the programs on this machine. */
const NO_DOCKER = { DOCKER_HOST: 'unix:///nonexistent/docker.sock' };
const LOCAL = { ...process.env, ...NO_DOCKER, DATABASE_URL: undefined, REDIS_URL: undefined };

/** All temporary folders of a test are made in here, so that what is left behind shows. */
let temporary: string;

beforeEach(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'checkpoint-queue-test-'));
  await chmod(temporary, 0o755);
  vi.stubEnv('TMPDIR', temporary);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(temporary, { recursive: true, force: true });
});

describe('startLocalServices', () => {
  it('uses the servers that the environment names and leaves them alone', async () => {
    const { databaseUrl, redisUrl } = services();
    const local = await startLocalServices({ env: { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl } });
    expect(local).toMatchObject({ databaseUrl, redisUrl, postgres: 'environment', redis: 'environment' });
    await local.stop();
    expect(await query(databaseUrl, 'SELECT 1')).toBe('1');
    expect(await ask(redisUrl, (redis) => redis.ping())).toBe('PONG');
  });

  it('starts servers with honest settings, and stops them without a trace', async () => {
    const local = await startLocalServices({ env: LOCAL });
    onTestFinished(() => local.stop());
    const { databaseUrl, redisUrl } = local;
    expect(local).toMatchObject({ postgres: 'embedded', redis: 'local' });
    expect(await query(databaseUrl, 'SHOW server_encoding')).toBe('UTF8');
    expect(await query(databaseUrl, 'SHOW fsync')).toBe('on');
    expect(await query(databaseUrl, 'SHOW synchronous_commit')).toBe('on');
    expect(await redisSetting(redisUrl, 'appendonly')).toBe('yes');
    expect(await redisSetting(redisUrl, 'maxmemory-policy')).toBe('noeviction');
    const pids = await serverPids(redisUrl);

    await Promise.all([local.stop(), local.stop()]);
    expect(pids.filter(isRunning)).toEqual([]);
    expect(await foldersLeft()).toEqual([]);
  });

  it('installs no handler for signals or the exit', async () => {
    const events = ['SIGINT', 'SIGTERM', 'SIGHUP', 'exit', 'beforeExit'];
    const listeners = () => events.map((event) => process.listenerCount(event));
    const before = listeners();
    const local = await startLocalServices({ env: LOCAL });
    onTestFinished(() => local.stop());
    expect(listeners()).toEqual(before);
  });

  it('says what to do when there is no Redis and none may be installed', async () => {
    const env = { ...NO_DOCKER, PATH: '', CKPT_NO_INSTALL: '1' };
    const starting = startLocalServices({ env });
    await expect(starting).rejects.toBeInstanceOf(LocalServicesError);
    await expect(starting).rejects.toMatchObject({
      code: 'LOCAL_SERVICES',
      message: expect.stringMatching(
        /CKPT_NO_INSTALL=1.*\nInstall redis-server, set REDIS_URL, or start Docker/,
      ),
    });
    expect(await foldersLeft()).toEqual([]);
  });

  it('gives up when it is told to, and cleans up', async () => {
    const controller = new AbortController();
    const onProgress = () => controller.abort();
    const starting = startLocalServices({ env: LOCAL, onProgress, signal: controller.signal });
    await expect(starting).rejects.toMatchObject({ name: 'AbortError' });
    expect(await foldersLeft()).toEqual([]);
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGKILL', 'exit'] as const)(
    'leaves nothing behind after %s',
    async (ending) => {
      const { child, redisUrl } = await startServices();
      const pids = await serverPids(redisUrl);
      expect(pids.filter(isRunning)).toHaveLength(2);

      if (ending === 'exit') child.stdin?.end();
      else child.kill(ending);
      const [, signal] = await once(child, 'exit');
      expect(signal).toBe(ending === 'exit' ? null : ending);
      await expect.poll(() => pids.filter(isRunning), { timeout: 10_000, interval: 20 }).toEqual([]);
      await expect.poll(foldersLeft, { timeout: 10_000, interval: 20 }).toEqual([]);
    },
  );
});

describe('startRedis', () => {
  it('comes back on its port with its data after kill -9', async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    await ask(redis.url, (client) => client.set('key', 'value'));
    await redis.kill('SIGKILL');
    expect(redis.pid).toBeUndefined();

    await redis.restart();
    expect(await ask(redis.url, (client) => client.get('key'))).toBe('value');
    await redis.restart();
    expect(await ask(redis.url, (client) => client.get('key'))).toBe('value');
  });

  it('stops while it is suspended, and does not restart then', async () => {
    const redis = await startRedis({ appendOnly: false, args: ['--maxmemory', '10mb'] });
    onTestFinished(() => redis.stop());
    expect(await redisSetting(redis.url, 'appendonly')).toBe('no');
    expect(await redisSetting(redis.url, 'maxmemory')).toBe(String(10 * 1024 * 1024));
    await redis.kill('SIGSTOP');
    await redis.stop();
    await expect(redis.restart()).rejects.toThrow('redis-server was stopped for good.');
    await expect(access(redis.directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('shows the end of the log when it cannot start', async () => {
    const occupant = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(occupant, 'listening');
    onTestFinished(() => void occupant.close());
    const { port } = occupant.address() as AddressInfo;
    await expect(startRedis({ port })).rejects.toThrow(/ended instead of starting.*Address already in use/s);
    expect(await foldersLeft()).toEqual([]);
  });
});

describe('startPostgres', () => {
  it('comes back on its port with its data after kill -9 and after a restart', async () => {
    const postgres = await startPostgres();
    onTestFinished(() => postgres.stop());
    await query(postgres.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await postgres.kill('SIGKILL');
    await postgres.restart();
    expect(await query(postgres.url, 'SELECT answer FROM kept')).toBe('42');
    await postgres.restart();
    expect(await query(postgres.url, 'SELECT answer FROM kept')).toBe('42');
  });

  it('keeps a folder that it is given, and uses it again', async () => {
    const directory = join(temporary, 'given');
    const first = await startPostgres({ directory });
    onTestFinished(() => first.stop());
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();

    const second = await startPostgres({ directory });
    onTestFinished(() => second.stop());
    expect(await query(second.url, 'SELECT answer FROM kept')).toBe('42');
    await second.stop();
    expect(await readdir(directory)).toContain('data');
  });
});

describe('the helpers for tests', () => {
  it('make and drop schemas, and name queues, that no other test has', async () => {
    const [one, other] = await Promise.all([testSchema(), testSchema()]);
    const present = `SELECT count(*) FROM pg_namespace WHERE nspname IN ('${one.schema}', '${other.schema}')`;
    expect(await query(services().databaseUrl, present)).toBe('2');
    await Promise.all([one.drop(), other.drop()]);
    expect(await query(services().databaseUrl, present)).toBe('0');
    expect(testQueue()).not.toBe(testQueue());
  });
});

/** A program that has started the services in `temporary`, and ends at the end of its input. */
async function startServices(): Promise<{ child: ChildProcess; databaseUrl: string; redisUrl: string }> {
  const script = fileURLToPath(new URL('./start-and-wait.ts', import.meta.url));
  const child = startProgram(script, [], {
    env: { ...LOCAL, TMPDIR: temporary },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = await once(createInterface(child.stdout as Readable), 'line');
  return { child, ...JSON.parse(line) };
}

/** The folders of servers; tsx keeps one of its own beside them. */
async function foldersLeft(): Promise<string[]> {
  return (await readdir(temporary)).filter((name) => name.startsWith('checkpoint-queue-'));
}

async function serverPids(redisUrl: string): Promise<number[]> {
  const folder = (await foldersLeft()).find((name) => name.includes('postgres'));
  const postmaster = await readFile(join(temporary, folder ?? '', 'data', 'postmaster.pid'), 'utf8');
  const info = await ask(redisUrl, (redis) => redis.info('server'));
  return [Number.parseInt(postmaster, 10), Number(/process_id:(\d+)/.exec(info)?.[1])];
}

/** The first column of the first row, as text. */
async function query(url: string, statement: string): Promise<string | undefined> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query({ text: statement, rowMode: 'array' });
    return rows[0]?.[0]?.toString();
  } finally {
    await client.end();
  }
}

async function ask<T>(url: string, command: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url);
  try {
    return await command(redis);
  } finally {
    redis.disconnect();
  }
}

async function redisSetting(url: string, name: string): Promise<string | undefined> {
  const [, value] = (await ask(url, (redis) => redis.config('GET', name))) as string[];
  return value;
}
