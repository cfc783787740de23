import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { CheckpointWriter, QueuedCheckpointStore, RedisAccessError } from '../../src/index.js';
import { COMMON_COMMANDS, PRODUCER_COMMANDS, WORKER_COMMANDS } from '../../src/redis/rights.js';
import { runCli } from '../cli/cli.js';
import { execute, ownRedis } from '../faults/services.js';
import { services, type TestSchema, testQueue, testSchema } from '../services.js';

const server = ownRedis();
const PRODUCER = [...COMMON_COMMANDS, ...PRODUCER_COMMANDS];
const WORKER = [...COMMON_COMMANDS, ...WORKER_COMMANDS];

let admin: Redis;
let tables: TestSchema;
beforeAll(async () => {
  admin = new Redis(server().url);
  tables = await testSchema();
});
afterAll(async () => {
  admin.disconnect();
  await tables.drop();
});

interface User {
  url: string;
  name: string;
  queue: string;
}

/** A Redis user who may run these commands on the keys of a queue of its own, or of the one given. */
async function redisUser(rules: readonly string[], queue = testQueue()): Promise<User> {
  const name = `user-${randomUUID()}`;
  await admin.call('ACL', 'SETUSER', name, 'on', '>secret', `~bull:${queue}*`, ...rules);
  onTestFinished(async () => void (await admin.call('ACL', 'DELUSER', name)));
  const url = new URL(server().url);
  Object.assign(url, { username: name, password: 'secret' });
  return { url: url.href, name, queue };
}

function allowed(commands: readonly string[]): string[] {
  return commands.map((command) => `+${command}`);
}

function place({ url, queue }: User) {
  return { redis: url, postgres: services().databaseUrl, schema: tables.schema, queue };
}

function openStore(
  user: User,
  options: Partial<ConstructorParameters<typeof QueuedCheckpointStore>[0]> = {},
) {
  const store = new QueuedCheckpointStore({ ...place(user), ...options });
  onTestFinished(() => store.close());
  return store;
}

function openWriter(user: User, logger = quietLogger()) {
  const writer = new CheckpointWriter({ ...place(user), logger, lockDurationMs: 2000 });
  onTestFinished(() => writer.close({ deadlineMs: 1000 }));
  return writer;
}

function quietLogger() {
  return { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };
}

function checkpoint(executionId = 'run') {
  return { id: randomUUID(), executionId, nodeName: 'node', state: { step: 1 } };
}

/** The commands that the page gives to this kind of user. */
function documented(kind: string): string[] {
  const text = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const rule = new RegExp(`^ACL SETUSER ckpt-${kind} (.*)$`, 'm').exec(text)?.[1] ?? '';
  return [...rule.matchAll(/\+(\S+)/g)].map(([, command]) => command as string);
}

/** What a user tried and may not, without what ioredis and BullMQ ask for and do without. */
async function deniedCommands(): Promise<string[]> {
  const denied = (await admin.call('ACL', 'LOG')) as unknown[][];
  const names = denied.map((entry) => String(entry[entry.indexOf('object') + 1]));
  return names.filter((name) => name !== 'info' && !name.startsWith('client'));
}

describe('the documented rights of a Redis user', () => {
  it('are enough for a store and a worker, and nothing else is tried', async () => {
    const producer = await redisUser(allowed(PRODUCER));
    const worker = await redisUser(allowed(WORKER), producer.queue);
    await admin.call('ACL', 'LOG', 'RESET');
    const store = openStore(producer);
    const writer = openWriter(worker);
    await writer.start();
    const saved = checkpoint();
    const removed = checkpoint();
    await store.saveBatch([saved, removed]);
    await store.delete(removed.id);
    await store.flush();
    await store.save({ ...saved, state: { step: 2 }, version: 2 });
    expect(await store.list('run', { consistency: 'latest' })).toMatchObject([{ state: { step: 2 } }]);
    await store.clear('run');
    expect(await store.latest('run', { consistency: 'latest' })).toBeUndefined();
    await store.save({ ...checkpoint(), metadata: { big: 'x'.repeat(70_000) } }, { ack: 'committed' });
    await writer.close();
    expect(await deniedCommands()).toEqual([]);
  });

  it('need not include what Redis calls dangerous', async () => {
    const user = await redisUser(['+@all', '-@dangerous']);
    const store = openStore(user, { writer: true });
    const receipt = await store.save(checkpoint());
    expect(await receipt.committed()).toBe('committed');
  });
});

describe('the documented rights of an operator', () => {
  it('are enough for what ckpt does', async () => {
    const user = await redisUser(allowed(documented('operator')));
    const env = { REDIS_URL: user.url, CKPT_QUEUE: user.queue, CKPT_SCHEMA: tables.schema };
    const anyone = await redisUser(['+@all'], user.queue);
    const writer = openWriter(anyone);
    await writer.start();
    const refused = { ...checkpoint(), timestamp: new Date('0001-01-01T00:00:00Z') };
    const postgres = services().databaseUrl;
    await execute(
      postgres,
      `ALTER TABLE "${tables.schema}".checkpoints ADD CONSTRAINT recent CHECK (timestamp > '2000-01-01')`,
    );
    onTestFinished(async () => {
      await execute(postgres, `ALTER TABLE "${tables.schema}".checkpoints DROP CONSTRAINT IF EXISTS recent`);
    });
    await openStore(anyone).save(refused);
    await vi.waitFor(() => expect(writer.stats).toMatchObject({ deadLettered: 1 }), 10_000);
    await admin.call('ACL', 'LOG', 'RESET');
    for (const command of [
      'stats',
      'doctor',
      'dead list',
      'dead replay --all --wait-ms 3000',
      'dead purge --all --yes',
      'repair --yes',
    ]) {
      const { code, stderr } = await runCli([...command.split(' '), '--json'], env);
      expect(stderr, command).not.toContain('REDIS_ACCESS');
      expect(code, `${command}: ${stderr}`).toBeLessThan(2);
    }
    expect(await deniedCommands()).toEqual([]);
  }, 120_000);
});

describe('docs/operations.md', () => {
  it.each([
    ['producer', PRODUCER],
    ['worker', WORKER],
  ])('has the commands of a %s', (kind, commands) => {
    const granted = documented(kind);
    expect(granted.sort()).toEqual([...commands].sort());
  });
});

describe('a Redis user without', () => {
  it.each(PRODUCER)('%s: the first save names it', async (command) => {
    const user = await redisUser(allowed(PRODUCER.filter((other) => other !== command)));
    const saving = openStore(user).save(checkpoint());
    await expect(saving).rejects.toMatchObject({ code: 'REDIS_ACCESS', command });
    expect(await admin.keys(`bull:${user.queue}:w-*`)).toEqual([]);
  });

  it.each(WORKER)('%s: a worker does not start, and names it', async (command) => {
    const user = await redisUser(allowed(WORKER.filter((other) => other !== command)));
    await expect(openWriter(user).start()).rejects.toMatchObject({ code: 'REDIS_ACCESS', command });
  });

  it('a command of workers: receipts and saves of a store with a writer name it, and do not wait for ever', async () => {
    const user = await redisUser(allowed(WORKER.filter((other) => other !== 'bzpopmin')));
    const store = openStore(user, { writer: true });
    const refused = { code: 'REDIS_ACCESS', command: 'bzpopmin' };
    await expect(store.save(checkpoint(), { ack: 'committed' })).rejects.toMatchObject(refused);
    await expect(store.save(checkpoint())).rejects.toMatchObject(refused);
  });

  it("the queue's keys: save and start say so", async () => {
    const user = { ...(await redisUser(['+@all'])), queue: testQueue() };
    const refused = expect.objectContaining({
      code: 'REDIS_ACCESS',
      message: expect.stringContaining("this queue's keys"),
    });
    await expect(openStore(user).save(checkpoint())).rejects.toEqual(refused);
    await expect(openWriter(user).start()).rejects.toEqual(refused);
  });

  it('the right password: save and start say so at once', async () => {
    const { url, ...user } = await redisUser(['+@all']);
    const wrong = { ...user, url: url.replace('secret', 'wrong') };
    const refused = expect.objectContaining({
      code: 'REDIS_ACCESS',
      message: expect.stringContaining('WRONGPASS'),
    });
    await expect(openStore(wrong, { enqueueTimeoutMs: 60_000 }).save(checkpoint())).rejects.toEqual(refused);
    await expect(openWriter(wrong).start()).rejects.toEqual(refused);
  });

  it.each(['stats', 'save -'])('the right password: ckpt %s fails in its own words', async (command) => {
    const { url, queue } = await redisUser(['+@all']);
    const env = {
      REDIS_URL: url.replace('secret', 'wrong'),
      CKPT_QUEUE: queue,
      CKPT_ENQUEUE_TIMEOUT_MS: '60000',
    };
    const { code, stderr } = await runCli(
      [...command.split(' '), '--json'],
      env,
      JSON.stringify(checkpoint()),
    );
    expect({ code, error: JSON.parse(stderr.trim().split('\n').at(-1) as string).error }).toMatchObject({
      code: 1,
      error: { code: 'REDIS_ACCESS', message: expect.stringContaining('WRONGPASS') },
    });
  });

  it('a password: save and start say that one is wanted', async () => {
    await admin.call('ACL', 'SETUSER', 'default', 'resetpass', '>of-the-default-user');
    onTestFinished(async () => void (await admin.call('ACL', 'SETUSER', 'default', 'nopass')));
    const user = { name: 'default', url: server().url, queue: testQueue() };
    const refused = expect.objectContaining({
      code: 'REDIS_ACCESS',
      message: expect.stringContaining('NOAUTH'),
    });
    await expect(openStore(user, { enqueueTimeoutMs: 60_000 }).save(checkpoint())).rejects.toEqual(refused);
    await expect(openWriter(user).start()).rejects.toEqual(refused);
  });
});

describe('rights that are taken away', () => {
  it('from a store: saves are refused, none that was acknowledged is lost, and it goes on when they are back', async () => {
    const user = await redisUser(['+@all']);
    const store = openStore(user);
    await openWriter(await redisUser(['+@all'], user.queue)).start();
    const acknowledged: string[] = [];
    const save = async () => void acknowledged.push((await store.save(checkpoint('kept'))).id);
    await save();
    for (const command of ['lpush', 'hmset', 'xadd', 'zadd', 'eval', 'evalsha', 'get', 'rename']) {
      await admin.call('ACL', 'SETUSER', user.name, `-${command}`);
      for (let i = 0; i < 3; i++) {
        await expect(save(), command).rejects.toMatchObject({ code: 'REDIS_ACCESS', command });
      }
      await admin.call('ACL', 'SETUSER', user.name, `+${command}`);
      await save();
    }
    await store.flush();
    const stored = (await store.list('kept', { limit: 1000 })).map(({ id }) => id);
    expect(stored).toEqual(expect.arrayContaining(acknowledged));
  });

  it.each(['evalsha', 'bzpopmin', 'rpoplpush', 'get'])(
    'from a worker, %s: it backs off, says so, is not ready, and goes on when they are back',
    async (command) => {
      const user = await redisUser(['+@all']);
      const logger = quietLogger();
      const writer = openWriter(user, logger);
      await writer.start();
      const store = openStore(await redisUser(['+@all'], user.queue));
      await store.save(checkpoint(), { ack: 'committed' });
      await admin.call('ACL', 'SETUSER', user.name, `-${command}`);
      const receipt = await store.save(checkpoint());
      await vi.waitFor(() => expect(writer.redisRefusal).toBeInstanceOf(RedisAccessError), 10_000);
      await vi.waitFor(() => expect(logger.error).toHaveBeenCalled());
      const before = await commandsRun();
      const tick = performance.now();
      await vi.waitFor(() => expect(performance.now() - tick).toBeGreaterThan(2000), 5000);
      expect((await commandsRun()) - before).toBeLessThan(200);
      await admin.call('ACL', 'SETUSER', user.name, `+${command}`);
      expect(await receipt.committed()).toBe('committed');
      await vi.waitFor(() => expect(writer.redisRefusal).toBeUndefined(), 10_000);
    },
    30_000,
  );
});

async function commandsRun(): Promise<number> {
  return Number(/total_commands_processed:(\d+)/.exec(await admin.info('stats'))?.[1]);
}
