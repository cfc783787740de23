import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type PoisonablePlace, poisonablePlace, refused } from '../dead-letters/letters.js';
import { testStore } from '../store/place.js';
import { OBEYED, terminalNames } from '../terminal-names.js';
import { type CliResult, logged, runCli, startCli } from './cli.js';

const envOf = ({ schema, queue }: PoisonablePlace) => ({ CKPT_SCHEMA: schema, CKPT_QUEUE: queue });

function linesOf({ stdout }: CliResult): string[] {
  return stdout.replace(/\n$/, '').split('\n');
}

/** Neither output may hold what a terminal obeys, but for the ends of lines. */
function expectShown(...results: CliResult[]): void {
  for (const { stdout, stderr } of results) {
    for (const line of `${stdout}\n${stderr}`.split('\n')) expect(line).not.toMatch(OBEYED);
  }
}

function randomNames(count: number): string[] {
  return [...new Set(fc.sample(terminalNames, count))];
}

it('whatever the ids and node names of checkpoints, each is one line of a list, and JSON has them exactly', async () => {
  const place = await poisonablePlace();
  const env = envOf(place);
  const executionId = `run\n\x1b[2J\u202e\x85${randomUUID()}`;
  const names = randomNames(60);
  await logged(startCli(['worker'], env), 'writer started');
  const input = names
    .map((name) =>
      JSON.stringify({ id: name, executionId, nodeName: name, state: { [name]: name }, metadata: { name } }),
    )
    .join('\n');
  const saved = await runCli(['save', '-', '--wait'], env, input);
  expect(saved).toMatchObject({ code: 0 });
  const [name] = names as [string];
  const [list, json, latest, load, loadJson] = await Promise.all([
    runCli(['list', executionId], env),
    runCli(['list', executionId, '--json'], env),
    runCli(['latest', executionId], env),
    runCli(['load', '--', name], env),
    runCli(['load', '--json', '--', name], env),
  ]);
  expectShown(saved, list, json, latest, load, loadJson);
  expect(linesOf(list)).toHaveLength(names.length + 1);
  expect(linesOf(json)).toHaveLength(1);
  expect(
    JSON.parse(json.stdout)
      .map(({ id }: { id: string }) => id)
      .sort(),
  ).toEqual([...names].sort());
  expect(JSON.parse(loadJson.stdout)).toMatchObject({
    id: name,
    executionId,
    nodeName: name,
    state: { [name]: name },
  });
  expect(
    linesOf(load)
      .slice(0, 3)
      .map((line) => line.split(/ +/)[0]),
  ).toEqual(['id', 'execution', 'node']);
  const [missing, missingJson, deleted, cleared] = await Promise.all([
    runCli(['load', '--', `${executionId}x`], env),
    runCli(['latest', '--json', '--', `${executionId}x`], env),
    runCli(['delete', '--', name], env),
    runCli(['clear', '--yes', '--', `${executionId}x`], env),
  ]);
  expectShown(missing, missingJson, deleted, cleared);
  for (const { stderr } of [missing, missingJson]) expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  for (const result of [deleted, cleared]) expect(linesOf(result)).toHaveLength(1);
  expect(JSON.parse(missingJson.stderr).error.message).toContain(`${executionId}x`);
}, 60_000);

it('whatever the ids of dead letters, each is one line, and what is exported is the same', async () => {
  const place = await poisonablePlace();
  const env = envOf(place);
  const names = randomNames(20);
  await refused(
    place,
    names.map((name) => ({ id: name, executionId: `${name}\n`, nodeName: name, state: { poison: name } })),
  );
  const [list, json, exported, none] = await Promise.all([
    runCli(['dead', 'list'], env),
    runCli(['dead', 'list', '--json'], env),
    runCli(['dead', 'export'], env),
    runCli(['dead', 'show', 'd-\x1b[31m\n\x9b'], env),
  ]);
  expectShown(list, json, exported, none);
  expect(linesOf(list)).toHaveLength(names.length + 1);
  const ids = (JSON.parse(json.stdout) as { id: string; deadLetterId: string }[]).map(({ id }) => id);
  expect(ids.sort()).toEqual([...names].sort());
  const states = linesOf(exported).map((line) => JSON.parse(line).checkpoint.state.poison);
  expect(states.sort()).toEqual([...names].sort());
  const [{ deadLetterId }] = JSON.parse(json.stdout);
  const [show, doctor] = await Promise.all([
    runCli(['dead', 'show', deadLetterId, '--payload'], env),
    runCli(['doctor'], env),
  ]);
  expectShown(show, doctor);
  expect(linesOf(show).findIndex((line) => line.startsWith('execution '))).toBe(2);
}, 60_000);

it('names of tables, options and settings are shown escaped as well', async () => {
  const place = await poisonablePlace();
  const schema = `${place.schema}\x1b[31m\n\u202e`;
  const env = { ...envOf(place), CKPT_SCHEMA: schema };
  const results = await Promise.all([
    runCli(['doctor', '--timeout', '5'], env),
    runCli(['config'], env),
    runCli(['config', '--json'], env),
    runCli(['list', '--\x1b[31m\x9b'], env),
    runCli(['dead', 'edit', 'd-1', '--file', '/nowhere/\x1b[31m\n'], env),
    runCli(['save', '-'], env, '{"\x9b\u202e": 1}'),
  ]);
  expectShown(...results);
  expect(JSON.parse(results[2]?.stdout as string).CKPT_SCHEMA).toBe(schema);
}, 60_000);

it("a worker's log has jobs whose names a terminal would obey as one line of JSON", async () => {
  const place = await poisonablePlace();
  const worker = startCli(['worker'], envOf(place));
  let log = '';
  worker.stdout?.on('data', (text) => {
    log += text;
  });
  await logged(worker, 'writer started');
  const { client, keys } = place;
  const id = 'x\x1b[31m\x9b\u2028';
  await client.hset(keys.jobPrefix + id, {
    name: 'x',
    data: '{"sink":"x\u009b"}',
    opts: '{}',
    timestamp: '1',
  });
  await client.lpush(keys.waiting, id);
  await testStore(place).save({ id: 'a', executionId: 'run', nodeName: 'n', state: 1 });
  await expect.poll(() => log, { timeout: 30_000 }).toContain('job is kept among the failed ones');
  for (const line of log.trimEnd().split('\n')) {
    expect(line).not.toMatch(OBEYED);
    JSON.parse(line);
  }
  expect(log).toContain('x\\u001b[31m\\u009b\\u2028');
}, 60_000);
