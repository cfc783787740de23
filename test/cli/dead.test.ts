import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { SaveReceipt } from '../../src/index.js';
import { type PoisonablePlace, poisonablePlace, refused, testLetters } from '../dead-letters/letters.js';
import { startWriter, testStore } from '../store/place.js';
import { type CliResult, runCli, startCli } from './cli.js';

const CANARY = 'canary-of-the-state';

type Run = (args: string[], input?: string) => Promise<CliResult>;

interface Cli {
  place: PoisonablePlace;
  env: NodeJS.ProcessEnv;
  run: Run;
  folder: string;
}

async function cli(): Promise<Cli> {
  const place = await poisonablePlace();
  const env = { CKPT_SCHEMA: place.schema, CKPT_QUEUE: place.queue, CKPT_LOG_LEVEL: 'trace' };
  const folder = await mkdtemp(join(tmpdir(), 'ckpt-dead-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return { place, env, folder, run: (args, input) => runCli(['dead', ...args], env, input) };
}

function idsOf(receipts: readonly SaveReceipt[]): string[] {
  return receipts.map(({ sequence }) => `d-${sequence}`);
}

function json({ stdout }: CliResult): unknown {
  return JSON.parse(stdout);
}

/** The first line; a stack may follow. */
function errorOf({ stderr }: CliResult): { code: string; field?: string; message: string } {
  return JSON.parse(stderr.split('\n', 1)[0] as string).error;
}

/** Commands that have nothing to do with each other, side by side. */
async function all<Name extends string>(
  runs: Record<Name, Promise<CliResult>>,
): Promise<Record<Name, CliResult>> {
  const entries = Object.entries<Promise<CliResult>>(runs);
  return Object.fromEntries(
    await Promise.all(entries.map(async ([name, run]) => [name, await run])),
  ) as never;
}

describe('ckpt dead', { timeout: 90_000 }, () => {
  it('lists, counts and shows; what is in a state is shown only when it is asked for', async () => {
    const { place, env, run } = await cli();
    const state = { poison: CANARY };
    const receipts = await refused(place, [
      { id: 'x:1', executionId: 'run-1', state, metadata: { note: CANARY } },
      { id: 'y:1', executionId: 'run-2', state },
    ]);
    const [first, second] = idsOf(receipts) as [string, string];
    const quiet = await all({
      table: run(['list']),
      list: run(['list', '--execution', 'run-2', '--sqlstate', '23514', '--since', '2026-01-01', '--json']),
      count: run(['count', '--id-prefix', 'x:']),
      show: run(['show', first]),
      stats: runCli(['stats'], env),
    });
    for (const { code, stdout, stderr } of Object.values(quiet)) {
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).not.toContain(CANARY);
    }
    expect(quiet.table.stdout).toMatch(
      new RegExp(
        `^dead letter +checkpoint +execution.*\\n${first} +x:1 +run-1 +23514 check violation \\(no_poison\\) .*\\n${second} +y:1 `,
      ),
    );
    expect(json(quiet.list)).toMatchObject([{ deadLetterId: second, executionId: 'run-2', replays: 0 }]);
    expect(quiet.count.stdout).toBe('1\n');
    expect(quiet.show.stdout).toContain(
      'refused with   23514\nreason         PostgreSQL error 23514: check violation (constraint no_poison, table checkpoints)\n' +
        'constraint     no_poison\n',
    );
    expect(quiet.stats.stdout).toMatch(/^dead letters +2 /m);

    const payloads = await all({
      text: run(['show', first, '--payload']),
      json: run(['show', first, '--payload', '--json']),
      missing: run(['show', 'd-1', '--json']),
    });
    expect(payloads.text.stdout).toContain(CANARY);
    expect(json(payloads.json)).toMatchObject({
      deadLetterId: first,
      checkpoint: { id: 'x:1', state, metadata: { note: CANARY } },
    });
    expect(payloads.missing.code).toBe(1);
    expect(errorOf(payloads.missing).code).toBe('DEAD_LETTER_NOT_FOUND');
  });

  it('replays: what is refused again is exit code 1, what is cured is committed', async () => {
    const { place, run } = await cli();
    const [first] = idsOf(
      await refused(
        place,
        [{}, {}, {}].map(() => ({ state: { poison: CANARY } })),
      ),
    );
    await startWriter(place);
    expect(json(await run(['replay', '--all', '--dry-run', '--json']))).toEqual({ wouldReplay: 3 });
    const again = await run(['replay', first as string]);
    expect(again.code).toBe(1);
    expect(again.stdout).toContain(
      'replayed 1: 0 committed, 0 superseded by a newer save, 0 deleted since, 1 dead again',
    );
    expect(again.stdout + again.stderr).not.toContain(CANARY);
    await place.cure();
    const cured = await run(['replay', '--sqlstate', '23514', '--rate', '1000/s', '--json']);
    expect(cured.code).toBe(0);
    expect(json(cured)).toMatchObject({ replayed: 3, committed: 3, deadAgain: 0, interrupted: false });
    expect(await testLetters(place).count()).toBe(0);
  });

  it('stops a replay on Ctrl-C between two dead letters, and says how far it came', async () => {
    const { place, env } = await cli();
    await refused(
      place,
      Array.from({ length: 60 }, () => ({})),
    );
    const child = startCli(['dead', 'replay', '--all', '--rate', '20/s', '--json'], env);
    let stdout = '';
    child.stdout?.on('data', (text) => {
      stdout += text;
    });
    child.stderr?.resume();
    const letters = testLetters(place);
    await expect.poll(() => letters.count(), { timeout: 15_000 }).toBeLessThan(58);
    child.kill('SIGINT');
    expect(await once(child, 'close')).toEqual([130, null]);
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ interrupted: true, pending: result.replayed });
    expect(result.replayed).toBeGreaterThan(2);
    expect(await letters.count()).toBe(60 - result.replayed);
  });

  it('edits: the checkpoint of a file takes the place of the refused one', async () => {
    const { place, run, folder } = await cli();
    const [receipt] = await refused(place, [
      { id: 'x', executionId: 'run', state: { poison: CANARY }, version: 3 },
    ]);
    const [id] = idsOf([receipt as SaveReceipt]) as [string];
    const shown = json(await run(['show', id, '--payload', '--json'])) as { checkpoint: object };
    const file = join(folder, 'edited.json');
    await startWriter(place);

    await writeFile(file, JSON.stringify({ ...shown.checkpoint, id: 'another' }));
    const refusedEdit = await run(['edit', id, '--file', file, '--json']);
    expect(refusedEdit.code).toBe(1);
    expect(errorOf(refusedEdit)).toMatchObject({ code: 'INVALID_CHECKPOINT', field: 'id' });
    expect(refusedEdit.stderr).not.toContain(CANARY);
    expect((await run(['edit', id, '--file', join(folder, 'none')])).code).toBe(1);

    await writeFile(file, JSON.stringify({ ...shown.checkpoint, state: 'better' }, null, 2));
    const edited = await run(['edit', id, '--file', file, '--json']);
    expect(json(edited)).toMatchObject({ replayed: 1, committed: 1 });
    expect(await testStore(place).load('x')).toMatchObject({ state: 'better', version: 3 });
  });

  it('purges only what is asked for by name, and only after a yes', async () => {
    const { place, run } = await cli();
    const [first, second, third] = idsOf(await refused(place, [{}, {}, {}])) as [string, string, string];
    const refusals = await all({
      unasked: run(['purge', '--all']),
      unnamed: run(['purge', '--yes']),
      rehearsed: run(['purge', '--all', '--dry-run', '--json']),
      young: run(['purge', '--older-than', '14d', '--yes', '--json']),
    });
    expect(refusals).toMatchObject({ unasked: { code: 2 }, unnamed: { code: 2 } });
    expect(refusals.unasked.stderr).toContain('--yes');
    expect(json(refusals.rehearsed)).toEqual({ wouldPurge: 3 });
    expect(json(refusals.young)).toEqual({ purged: 0 });
    const letters = testLetters(place);
    expect(await letters.count()).toBe(3);
    expect((await run(['purge', first, second, '--yes'])).stdout).toBe('purged 2 dead letters\n');
    expect(await letters.list()).toMatchObject([{ deadLetterId: third }]);
  });

  it('exports to a file or standard output, and imports from either', async () => {
    const { place, run, folder } = await cli();
    const state = { poison: `\u2028 \0 \ud800 ${CANARY}` };
    const ids = idsOf(await refused(place, [{ state }, { state }]));
    const letters = testLetters(place);
    const before = await Promise.all(ids.map((id) => letters.get(id, { payload: true })));
    const file = join(folder, 'letters.jsonl');
    expect(json(await run(['export', file, '--json']))).toEqual({ exported: 2, file });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const printed = await run(['export']);
    expect(printed.stdout).toBe(await readFile(file, 'utf8'));
    expect(printed.stderr).toBe('exported 2 dead letters\n');
    await letters.purge({ all: true });

    expect(json(await run(['import', file, '--json']))).toEqual({ imported: 2, existing: 0 });
    expect(await Promise.all(ids.map((id) => letters.get(id, { payload: true })))).toEqual(before);
    const bad = await run(['import', '-', '--json'], `${printed.stdout}{"id":"${CANARY}"}\n`);
    expect(bad.code).toBe(1);
    expect(errorOf(bad)).toMatchObject({
      code: 'INVALID_DEAD_LETTER',
      message: expect.stringContaining('Line 3'),
    });
    expect(bad.stderr).not.toContain(CANARY);
  });

  it('says where it is used in a wrong way', async () => {
    const { run } = await cli();
    const wrong = await all({
      option: run(['list', '--since', 'yesterday', '--json']),
      value: run(['list', '--after', 'w-1', '--json']),
    });
    expect([wrong.option, wrong.value].map((result) => [result.code, errorOf(result).field])).toEqual([
      [2, '--since'],
      [2, 'after'],
    ]);
  });

  it('says what each command does', async () => {
    const { stdout } = await runCli(['dead', '--help']);
    for (const name of ['list', 'show', 'count', 'replay', 'edit', 'purge', 'export', 'import']) {
      expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
    }
  });
});
