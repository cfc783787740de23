import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { resultOf, spawnForTest } from '../child-process.js';
import { isRunning } from '../guarded-child.js';
import { services } from '../services.js';

/** Several programs start one after the other, on a machine that has other work. */
const PATIENCE_MS = 600_000;
/** For the programs of a test to start, until it runs out of time: the first that is enough is taken. */
const TEST_TIMEOUTS_MS = [15_000, 60_000, 240_000];
const VITEST = 'node_modules/vitest/vitest.mjs';
const CONFIG = 'test/processes/vitest.config.ts';

/** A run of the tests in holding.fixture.ts, which hold processes. */
function startRun(timeoutMs: number) {
  const folder = mkdtempSync(join(tmpdir(), 'checkpoint-queue-holding-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'pids');
  const { databaseUrl, redisUrl } = services();
  const runner = spawnForTest(process.execPath, [VITEST, 'run', '--config', CONFIG], {
    env: {
      ...process.env,
      ...{ DATABASE_URL: databaseUrl, REDIS_URL: redisUrl },
      ...{ HOLDING_FILE: file, HOLDING_TIMEOUT_MS: String(timeoutMs) },
    },
  });
  /** The processes that the tests have told of, by what they are. */
  const held = (): Record<string, number[]> => {
    const lines = readFileSync(file, { encoding: 'utf8', flag: 'a+' }).trim().split('\n');
    const told = lines.map((line) => line.split(' '));
    return Object.fromEntries(told.map(([what = '', ...pids]) => [what, pids.map(Number)]));
  };
  return { runner, held };
}

function left(held: Record<string, number[]>): string[] {
  return Object.entries(held)
    .filter(([, pids]) => pids.some(isRunning))
    .map(([what]) => what);
}

it('a test that times out while it holds processes leaves none of them behind', {
  timeout: PATIENCE_MS,
}, async () => {
  let found: string[] = [];
  for (const timeoutMs of TEST_TIMEOUTS_MS) {
    const { runner, held } = startRun(timeoutMs);
    const { code, stdout, stderr } = await resultOf(runner);
    expect(code, stdout + stderr).toBe(1);
    expect(stderr).toContain('Test timed out');
    await vi.waitFor(() => expect(left(held())).toEqual([]), 30_000);
    found = Object.keys(held());
    if (found.includes('stubborn')) break;
  }
  expect(found).toEqual(expect.arrayContaining(['runner', 'worker', 'cli', 'stubborn']));
});

it('a test run that is killed leaves none of its processes behind', { timeout: PATIENCE_MS }, async () => {
  const { runner, held } = startRun(PATIENCE_MS);
  await vi.waitFor(() => expect(held()).toHaveProperty('stubborn'), { timeout: PATIENCE_MS, interval: 100 });
  expect(left(held())).toEqual(['runner', 'worker', 'cli', 'stubborn']);
  runner.kill('SIGKILL');
  await vi.waitFor(() => expect(left(held())).toEqual([]), 30_000);
});

it('all tests start their processes by guarded-child.ts', () => {
  const files = readdirSync('test', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .filter((name) => !['guarded-child.ts', 'processes/stubborn.ts'].includes(name));
  const importing = files.filter((name) => {
    const [, names = ''] =
      /import (?!type )\{([^}]*)\} from 'node:child_process'/.exec(
        readFileSync(join('test', name), 'utf8'),
      ) ?? [];
    return names.split(',').some((one) => one.trim() !== '' && !one.trim().startsWith('type '));
  });
  expect(importing).toEqual([]);
});
