import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { startProgram } from '../child-process.js';
import type { ChaosReport } from './report.js';

const PROGRAM = fileURLToPath(new URL('./main.ts', import.meta.url));
/** It takes half a minute; processes start slowly on a busy machine, and a drain may take three minutes. */
const TIMEOUT_MS = 300_000;

interface Ended {
  readonly code: number | null;
  readonly report: ChaosReport;
  readonly told: string;
}

/** @param interruptAt it gets the SIGINT of Ctrl-C when it says this */
async function chaos(args: string[], interruptAt?: string): Promise<Ended> {
  const folder = await mkdtemp(join(tmpdir(), 'checkpoint-queue-chaos-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'report.json');
  const child = startProgram(PROGRAM, ['--json', file, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let told = '';
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream as Readable }).on('line', (line) => {
      told += `${line}\n`;
      if (interruptAt && line.includes(interruptAt)) child.kill('SIGINT');
    });
  }
  const [code] = await once(child, 'close');
  const report = JSON.parse(await readFile(file, 'utf8').catch(() => Promise.reject(new Error(told))));
  return { code, report, told };
}

it('a short chaos run makes faults, keeps every promise and reports', { timeout: TIMEOUT_MS }, async () => {
  const { code, report, told } = await chaos([
    '--minutes',
    '0.3',
    '--seed',
    '7',
    '--no-replays',
    '--servers-only',
  ]);
  expect(report.broken, told).toEqual([]);
  expect(code).toBe(0);
  expect(told).toContain('every promise is kept');
  expect(report.seed).toBe(7);
  expect(report.acknowledged).toBeGreaterThan(500);
  expect(report.deadLetters.expected).toBeGreaterThan(0);
  expect(report.deadLetters.replayed).toBe(report.deadLetters.found);
  expect(report.log.length).toBeGreaterThanOrEqual(3);
  expect(report.faults.all.commitMs.count).toBe(report.log.length);
  expect(report.memory['worker-spared']?.samples).toBeGreaterThan(5);
});

it('one that is interrupted ends early and checks all the same', { timeout: TIMEOUT_MS }, async () => {
  const { code, report, told } = await chaos(
    ['--minutes', '60', '--seed', '8', '--no-replays', '--servers-only'],
    'fault:',
  );
  expect(report.broken, told).toEqual([]);
  expect(code).toBe(130);
  expect(report.interrupted).toBe(true);
  expect(report.rows).toBeGreaterThan(0);
});
