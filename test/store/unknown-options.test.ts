import { createServer } from 'node:net';
import { Redis } from 'ioredis';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  CheckpointRecorder,
  CheckpointWriter,
  DeadLetters,
  MemoryCheckpointStore,
  PostgresCheckpointStore,
  QueuedCheckpointStore,
} from '../../src/index.js';
import { langGraphSink, QueuedPostgresSaver } from '../../src/langgraph/index.js';
import { startWriter, testPlace, testStore, testWriter } from './place.js';

const redis = 'redis://127.0.0.1:1';
const postgres = 'postgresql://127.0.0.1:1/none';
const both = { redis, postgres };

type Construct = (options: never) => { close?(): Promise<void>; end?(): Promise<void> };

/** Each class with options that are enough for it. */
const CLASSES: Array<[name: string, construct: Construct, enough: object]> = [
  ['QueuedCheckpointStore', (options) => new QueuedCheckpointStore(options), both],
  ['PostgresCheckpointStore', (options) => new PostgresCheckpointStore(options), { postgres }],
  ['MemoryCheckpointStore', (options) => new MemoryCheckpointStore(options), {}],
  ['CheckpointWriter', (options) => new CheckpointWriter(options), both],
  ['DeadLetters', (options) => new DeadLetters(options), { redis }],
  [
    'CheckpointRecorder',
    (options) => new CheckpointRecorder(options),
    { store: new MemoryCheckpointStore() },
  ],
  ['QueuedPostgresSaver', (options) => new QueuedPostgresSaver(options), both],
];

describe.each(CLASSES)('the options of a %s', (name, construct, enough) => {
  const open = (options: unknown) => construct(options as never);
  const problemWith = (options: unknown): { code?: string; field?: string; message: string } => {
    try {
      const opened = open(options);
      onTestFinished(async () => void (await (opened.close?.() ?? opened.end?.())));
    } catch (error) {
      return error as never;
    }
    throw new Error('not refused');
  };

  it('may have no other keys', () => {
    const problem = problemWith({ ...enough, shcema: 'x' });
    expect(problem).toMatchObject({ name: 'InvalidConfigError', code: 'INVALID_CONFIG', field: '"shcema"' });
    expect(problem.message).toContain(name);
    expect(problemWith(JSON.parse('{"constructor": 1}'))).toMatchObject({ field: '"constructor"' });
  });

  it('may have other keys without a value', async () => {
    const opened = open({ ...enough, shcema: undefined });
    await (opened.close?.() ?? opened.end?.());
  });

  it.each([null, 'text', 7, []])('must be an object, and not %j', (value) => {
    expect(problemWith(value)).toMatchObject({ code: 'INVALID_CONFIG', field: 'options' });
  });

  it('must be given, unless there are none', () => {
    if (name === 'MemoryCheckpointStore') open(undefined);
    else expect(problemWith(undefined)).toMatchObject({ code: 'INVALID_CONFIG', field: 'options' });
  });
});

it.each<[field: string, message: string, construct: () => unknown]>([
  ['"wirter"', 'did you mean writer?', () => new QueuedCheckpointStore({ ...both, wirter: true } as never)],
  [
    'writer."lingerMS"',
    'did you mean lingerMs?',
    () => new QueuedCheckpointStore({ ...both, writer: { lingerMS: 1 } } as never),
  ],
  [
    'writer."redis"',
    'an embedded writer',
    () => new QueuedCheckpointStore({ ...both, writer: { redis } } as never),
  ],
  [
    'retention."keeplast"',
    'did you mean keepLast?',
    () => new CheckpointWriter({ ...both, retention: { keeplast: 1 } } as never),
  ],
  ['retention', 'must be an object', () => new CheckpointWriter({ ...both, retention: true } as never)],
  ['"table"', 'QueuedPostgresSaver', () => new QueuedPostgresSaver({ ...both, table: 'x' } as never)],
  [
    '"partitionBy"',
    'QueuedPostgresSaver',
    () => new QueuedPostgresSaver({ ...both, partitionBy: 'day' } as never),
  ],
  [
    'writer.sinks',
    'must not be given',
    () => new QueuedPostgresSaver({ ...both, writer: { sinks: [] } } as never),
  ],
  [
    '"queue"',
    'PostgresCheckpointStore',
    () => new PostgresCheckpointStore({ postgres, queue: 'x' } as never),
  ],
  ['"postgres"', 'which has none', () => new MemoryCheckpointStore({ postgres } as never)],
  ['"shcema"', 'did you mean schema?', () => langGraphSink({ shcema: 'x' } as never)],
])('%s is refused: %s', (field, message, construct) => {
  expect(construct).toThrow(
    expect.objectContaining({ code: 'INVALID_CONFIG', field, message: expect.stringContaining(message) }),
  );
});

describe('the options of ioredis and pg', () => {
  const withRedis = (value: unknown) => () => new QueuedCheckpointStore({ redis: value as never, postgres });
  const withPostgres = (value: unknown) => () =>
    new QueuedCheckpointStore({ redis, postgres: value as never });

  it.each<[unknown, field: string, message: string]>([
    [{ url: 'redis://user:secret@host:6380' }, 'redis."url"', "redis: 'redis://host:6379'"],
    [{ connection: { host: 'secret' } }, 'redis."connection"', 'give what it holds as redis'],
    [{ hots: 'secret' }, 'redis."hots"', 'did you mean host?'],
    [{ host: 'x', passwrod: 'secret' }, 'redis."passwrod"', 'did you mean password?'],
    [{ redisOptions: {} }, 'redis."redisOptions"', 'new Cluster(nodes, options)'],
    [
      { host: 'x', tls: { rejectUnauthorised: false } },
      'redis.tls."rejectUnauthorised"',
      'rejectUnauthorized?',
    ],
    [new URL('redis://user:secret@host:6380'), 'redis', 'must be a URL, ioredis options'],
    [new Map([['host', 'secret']]), 'redis', 'must be a URL, ioredis options'],
    [[{ host: 'secret' }], 'redis', 'must be a URL, ioredis options'],
    [null, 'redis', 'must be a URL, ioredis options'],
    [undefined, 'redis', 'must be a URL, ioredis options'],
    ['redis://host:6380?commandTimout=secret', 'redis', 'not an option of ioredis'],
  ])('%j as redis is refused', (value, field, message) => {
    const refused = { code: 'INVALID_CONFIG', field, message: expect.stringContaining(message) };
    expect(withRedis(value)).toThrow(expect.objectContaining(refused));
    expect(withRedis(value)).not.toThrow(/secret/);
  });

  it.each<[unknown, field: string, message: string]>([
    [{ url: 'postgresql://user:secret@host/db' }, 'postgres."url"', 'connectionString'],
    [{ username: 'secret' }, 'postgres."username"', 'it is user'],
    [{ hots: 'secret' }, 'postgres."hots"', 'did you mean host?'],
    [{ sslmode: 'require' }, 'postgres."sslmode"', 'ssl'],
    [{ ssl: { rejectUnauthorised: false } }, 'postgres.ssl."rejectUnauthorised"', 'rejectUnauthorized?'],
    [new URL('postgresql://user:secret@host/db'), 'postgres', 'must be a DSN'],
    [[], 'postgres', 'must be a DSN'],
    [null, 'postgres', 'must be a DSN'],
  ])('%j as postgres is refused', (value, field, message) => {
    const refused = { code: 'INVALID_CONFIG', field, message: expect.stringContaining(message) };
    expect(withPostgres(value)).toThrow(expect.objectContaining(refused));
    expect(withPostgres(value)).not.toThrow(/secret/);
    const read = field.replace('postgres', 'readPostgres');
    const reading = () => new PostgresCheckpointStore({ postgres, readPostgres: value as never });
    expect(reading).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG', field: read }));
  });

  it('may be any that these packages know', async () => {
    const redis = {
      host: '127.0.0.1',
      port: 1,
      db: 0,
      tls: { servername: 'x' },
      connectionName: 'y',
      foo: undefined,
    };
    const pool = {
      host: '127.0.0.1',
      port: 1,
      max: 1,
      ssl: { ca: 'x', requestOCSP: true },
      options: '-c x=y',
    };
    const store = new QueuedCheckpointStore({ redis, postgres: pool });
    await store.close();
  });

  it('never lead to a Redis on this machine that nobody has named', async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.destroy();
    });
    // Where another Redis has the port, nothing is listened to, and no connection is made all the same.
    server.on('error', () => {}).listen(6379, '127.0.0.1');
    onTestFinished(() => void server.close());
    for (const value of [{ url: 'x' }, { connection: {} }, { hots: 'x' }, new URL('redis://x')]) {
      expect(withRedis(value)).toThrow();
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(connections).toBe(0);
  });

  it('leave clients and pools of the application alone, whatever they hold', async () => {
    const place = await testPlace();
    const pool = Object.assign(new pg.Pool({ connectionString: place.postgres }), { mine: 1 });
    const client = Object.assign(new Redis(place.redis), { mine: 1 });
    const store = testStore(place, { redis: client, postgres: pool });
    await startWriter(place);
    const receipt = await store.save({ id: 'a', executionId: 'a', nodeName: 'a', state: 1 });
    expect(await receipt.committed()).toBe('committed');
    await store.close();
    client.disconnect();
    await pool.end();
  });
});

describe('the options of methods', () => {
  it('of closing may have no other keys, and nothing is closed then', async () => {
    const place = await testPlace();
    const writer = testWriter(place);
    const recorder = new CheckpointRecorder({ store: new MemoryCheckpointStore() });
    for (const closing of [writer, recorder]) {
      await expect(closing.close({ deadline: 1 } as never)).rejects.toMatchObject({
        code: 'INVALID_CONFIG',
        field: '"deadline"',
        message: expect.stringContaining('did you mean deadlineMs?'),
      });
    }
    expect(writer.state).toBe('new');
    await recorder.save('node', 1);
    await recorder.close();
  });

  it('of dead letters may have no other keys', async () => {
    const letters = new DeadLetters({ redis });
    const refused = (field: string) => ({ code: 'INVALID_FILTER', field });
    const calls: Array<[call: Promise<unknown>, field: string]> = [
      [letters.get('d-1', { paylaod: true } as never), '"paylaod"'],
      [letters.list({ limt: 1 } as never), '"limt"'],
      [letters.list('text' as never), 'options'],
      [letters.list(null as never), 'options'],
      [letters.count({ exection: 'x' } as never), '"exection"'],
      [letters.count([] as never), 'filter'],
      [letters.replay({ all: true, dryrun: true } as never), '"dryrun"'],
      [letters.purge({ all: true, dryrun: true } as never), '"dryrun"'],
      [letters.edit('d-1', {} as never, { waitTimeout: 1 } as never), '"waitTimeout"'],
    ];
    for (const [call, field] of calls) await expect(call).rejects.toMatchObject(refused(field));
    await letters.close();
  });

  it('of threads may have no other keys', async () => {
    const saver = new QueuedPostgresSaver(both);
    const calls: Array<[call: Promise<unknown>, field: string]> = [
      [saver.listThreads({ limt: 1 } as never), '"limt"'],
      [saver.listThreads(null as never), 'options'],
      [saver.pruneThreads({ keepLast: 1, dryrun: true } as never), '"dryrun"'],
      [saver.pruneThreads(undefined as never), 'options'],
    ];
    for (const [call, field] of calls) {
      await expect(call).rejects.toMatchObject({ code: 'INVALID_CONFIG', field });
    }
    await saver.end();
  });
});
