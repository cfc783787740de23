import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { poisonablePlace, refused, testLetters } from '../dead-letters/letters.js';
import { type Place, startWriter, testPlace } from '../store/place.js';
import { runCli, startCli } from './cli.js';

function envOf({ schema, queue }: Place): NodeJS.ProcessEnv {
  return { CKPT_SCHEMA: schema, CKPT_QUEUE: queue };
}

function line(id: string, state: unknown = {}, version = 1): string {
  return JSON.stringify({ id, executionId: 'run', nodeName: 'n', state, version });
}

describe('ckpt save --wait', () => {
  it('tells how many came to what, and which are refused: exit code 1', async () => {
    const place = await poisonablePlace();
    await startWriter(place);
    const lines = [line('a', {}, 2), line('a', {}, 1), line('bad', { poison: 'canary' }), line('b')];
    const json = await runCli(['save', '-', '--wait', '--json'], envOf(place), lines.join('\n'));
    expect(json.code).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({
      saved: 4,
      state: 'incomplete',
      ...{ committed: 2, superseded: 1, deleted: 0, refused: 1, lost: 0, unknown: 0, pending: 0 },
      notCommitted: [{ id: 'bad', outcome: 'refused', code: 'DEAD_LETTERED', deadLetterId: /^d-/ }].map(
        (entry) => ({ ...entry, deadLetterId: expect.stringMatching(entry.deadLetterId) }),
      ),
    });
    const text = await runCli(['save', '-', '--wait'], envOf(place), lines.join('\n'));
    expect(text.stdout).toMatch(
      /^4 saves: 2 committed, 1 superseded by a newer save, 0 deleted since, 1 refused$/m,
    );
    expect(text.stderr).toMatch(/^ {2}Checkpoint "bad" is refused and kept as dead letter d-\d+/m);
    expect(text.stderr).toMatch(/^ckpt: 1 refused$/m);
    expect(json.stdout + json.stderr + text.stdout + text.stderr).not.toContain('canary');
  });

  it('ends at --wait-ms where no worker runs, and says that the saves stay queued', async () => {
    const place = await testPlace();
    const { code, stdout, stderr } = await runCli(
      ['save', '-', '--wait', '--wait-ms', '100', '--json'],
      envOf(place),
      line('a'),
    );
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ saved: 1, state: 'incomplete', committed: 0, pending: 1 });
    expect(stderr).toContain('1 not confirmed yet');
  });

  it('warns while it waits and no worker runs; Ctrl-C ends it with exit code 130', async () => {
    const place = await testPlace();
    const child = startCli(['save', '-', '--wait'], envOf(place));
    child.stdin?.end(line('a'));
    let stderr = '';
    for await (const text of child.stderr?.iterator({ destroyOnReturn: false }) ?? []) {
      stderr += text;
      if (stderr.includes('no worker is registered')) break;
    }
    expect(stderr).toContain('no worker is registered');
    const exited = once(child, 'exit');
    child.kill('SIGINT');
    expect(await exited).toEqual([130, null]);
  });

  it('tells what became of the lines before a bad one, which ends it', async () => {
    const place = await testPlace();
    await startWriter(place);
    const { code, stdout, stderr } = await runCli(
      ['save', '-', '--wait', '--json'],
      envOf(place),
      [line('a'), '{"id":"b"}', line('c')].join('\n'),
    );
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ saved: 1, bad: 1, committed: 1 });
    expect(stderr).toContain('stopped at line 2');
  });

  it('ends at --wait-ms also where there are more lines than can be waited for at once', async () => {
    const place = await testPlace();
    const lines = Array.from({ length: 22_000 }, (_, index) => line(`c${index}`)).join('\n');
    const { code, stdout } = await runCli(
      ['save', '-', '--wait', '--wait-ms', '500', '--json'],
      envOf(place),
      lines,
    );
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ saved: 22_000, committed: 0, pending: 22_000 });
  });

  it('refuses a --wait-ms that is no number', async () => {
    const place = await testPlace();
    expect(await runCli(['save', '-', '--wait', '--wait-ms', 'soon'], envOf(place))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--wait-ms'),
    });
  });
});

describe('ckpt dead replay', () => {
  it('names each dead letter that is not committed, and why', async () => {
    const place = await poisonablePlace();
    const states = [{ poison: 'canary' }, { poison: 'canary' }];
    const receipts = await refused(
      place,
      states.map((state, index) => ({ id: `x:${index}`, state })),
    );
    await startWriter(place);
    const [first, second] = receipts.map(({ sequence }) => `d-${sequence}`) as [string, string];
    const json = await runCli(['dead', 'replay', first, 'd-1', '--json'], envOf(place));
    expect(json.code).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({
      replayed: 1,
      deadAgain: 1,
      skipped: 1,
      notCommitted: expect.arrayContaining([
        {
          deadLetterId: first,
          id: 'x:0',
          outcome: 'deadAgain',
          nextDeadLetterId: expect.stringContaining(first),
          reason: expect.stringContaining('check violation'),
        },
        { deadLetterId: 'd-1', outcome: 'skipped' },
      ]),
    });
    const text = await runCli(['dead', 'replay', second], envOf(place));
    expect(text.stderr).toMatch(
      new RegExp(`^ {2}${second} \\(checkpoint x:1\\): dead again as ${second}`, 'm'),
    );
    expect(json.stdout + text.stderr).not.toContain('canary');
    expect(await testLetters(place).count()).toBe(2);
  });

  it('lists none that are committed', async () => {
    const place = await poisonablePlace();
    await refused(place, [{ state: { poison: 'canary' } }]);
    await startWriter(place);
    await place.cure();
    const { stdout, code } = await runCli(['dead', 'replay', '--all', '--json'], envOf(place));
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ committed: 1, notCommitted: [] });
  });
});
