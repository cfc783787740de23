import { expect, it } from 'vitest';
import { wholeNumber } from '../../src/cli/stores.js';
import { runCli } from './cli.js';

it.each([
  '',
  ' ',
  '-1',
  '+1',
  '0.5',
  '1e3',
  '0x1',
  '5n',
  'NaN',
  'Infinity',
  'abc',
  '١',
  '9007199254740992',
  '9'.repeat(400),
])('an option that is a number is not %j', (text) => {
  expect(() => wholeNumber('--limit', text)).toThrow(
    expect.objectContaining({ code: 'USAGE', field: '--limit' }),
  );
});

it.each([
  ['0', 0],
  ['007', 7],
  ['9007199254740991', Number.MAX_SAFE_INTEGER],
])('an option that is a number may be %s', (text, value) => {
  expect(wholeNumber('--limit', text)).toBe(value);
});

it('the commands name the option that is wrong, and end with 2', async () => {
  const calls = [
    ['list', 'e', '--limit', 'abc'],
    ['list', 'e', '--before', '2026-02-31'],
    ['latest', 'e', '--timeout-ms', '-1'],
    ['prune', '--keep-last', '0.5', '--dry-run'],
    ['dead', 'replay', '--all', '--rate', 'NaN'],
    ['dead', 'replay', '--all', '--wait-ms', ''],
    ['doctor', '--timeout', '0'],
    ['init', '--partitions-from', '2026-02-31'],
  ];
  const ends = await Promise.all(calls.map((args) => runCli([...args, '--json'])));
  expect(ends.map(({ code }) => code)).toEqual(calls.map(() => 2));
  const fields = ends.map(({ stderr }) => (JSON.parse(stderr) as { error: { field: string } }).error.field);
  expect(fields).toEqual([
    '--limit',
    '--before',
    '--timeout-ms',
    '--keep-last',
    '--rate',
    '--wait-ms',
    '--timeout',
    '--partitions-from',
  ]);
}, 120_000);
