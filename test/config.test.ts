import { expect, test } from 'vitest';
import { loadConfig, redactUrl, withServices } from '../src/config.js';
import { InvalidConfigError } from '../src/errors.js';
import { SETTINGS } from '../src/settings.js';

test('an empty environment gives the defaults, frozen', () => {
  const config = loadConfig({});

  expect(config).toMatchObject({
    queue: 'checkpoint-writes',
    schema: 'public',
    table: 'checkpoints',
    lingerMs: 5,
  });
  expect(config.redis).toBeUndefined();
  expect(Object.isFrozen(config)).toBe(true);
});

test('every setting is read from its variable', () => {
  const config = loadConfig({
    CKPT_QUEUE: 'q',
    CKPT_CONCURRENCY: '7',
    CKPT_ON_QUEUE_FULL: 'wait',
    CKPT_TABLE: '',
  });

  expect(config).toMatchObject({ queue: 'q', concurrency: 7, onQueueFull: 'wait', table: 'checkpoints' });
});

test('all problems are told at once, without the values', () => {
  const error = errorOf(() =>
    loadConfig({ CKPT_LINGER_MS: '-1', DATABASE_URL: 'mysql://user:hunter2@host', CKPT_LOG_LEVEL: 'loud' }),
  );

  expect(error).toBeInstanceOf(InvalidConfigError);
  for (const variable of ['CKPT_LINGER_MS', 'DATABASE_URL', 'CKPT_LOG_LEVEL']) {
    expect(error.message).toContain(variable);
  }
  expect(error.message).not.toContain('hunter2');
});

test.each([
  ['CKPT_DASHBOARD', 'yes'],
  ['CKPT_DASHBOARD_TOKEN', 'too-short'],
  ['CKPT_DASHBOARD_TOKEN', 'long enough, with spaces'],
])('%s is not "%s"', (variable, value) => {
  const error = errorOf(() => loadConfig({ [variable]: value }));

  expect(error).toMatchObject({ code: 'INVALID_CONFIG', field: variable });
  expect(error.message).not.toContain(value);
});

test('a misspelt variable is refused and the nearest one is named', () => {
  expect(errorOf(() => loadConfig({ CKPT_SCHEME: 'x' })).message).toContain('did you mean CKPT_SCHEMA?');
  expect(() => loadConfig({ CKPT_NO_INSTALL: '1' })).not.toThrow();
});

test('a service that is needed and not set is named', () => {
  const error = errorOf(() => withServices(loadConfig({ DATABASE_URL: 'postgres://host/db' })));

  expect(error).toMatchObject({ code: 'INVALID_CONFIG', field: 'REDIS_URL' });
});

test('the README has every setting with its default', async () => {
  const { readFile } = await import('node:fs/promises');
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');

  for (const { env, default: value, meaning } of Object.values(SETTINGS)) {
    expect(readme).toContain(`| \`${env}\` | ${value === undefined ? '' : `\`${value}\``} | ${meaning} |`);
  }
});

test('passwords in URLs are hidden, in the authority and among the parameters', () => {
  expect(redactUrl('postgresql://me:hunter2@host:5432/db?sslpassword=hunter2&pool_max_conns=5')).toBe(
    'postgresql://me:***@host:5432/db?sslpassword=***&pool_max_conns=5',
  );
});

test.each([
  ['redis://:hunter2@host:6379/0', 'redis://:***@host:6379/0'],
  ['redis://me@corp:hunt@er2@host', 'redis://me@corp:***@host'],
  // To a parser a host, a port and a parameter.
  ['redis://me:12?hunter2@host', 'redis://me:***@host'],
  ['redis://host:6379/0', 'redis://host:6379/0'],
  ['redis-cluster://me:hunter2@one:6379,two:6379', 'redis-cluster://me:***@one:6379,two:6379'],
  [
    'rediss-sentinel://:hunter2@[::1]:26379,two/3?master=m&sentinel_password=hunter2',
    'rediss-sentinel://:***@[::1]:26379,two/3?master=m&sentinel_password=***',
  ],
  ['postgres://host/db?p%61ssword=hunter2', 'postgres://host/db?p%61ssword=***'],
])('passwords in URLs are hidden, whatever their form: %s', (url, shown) => {
  expect(redactUrl(url)).toBe(shown);
});

function errorOf(work: () => unknown): Error {
  try {
    work();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}
