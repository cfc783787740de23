// Run by left-behind.test.ts in a vitest of its own: tests that never end, and hold processes.
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { it } from 'vitest';
import { startProgram } from '../child-process.js';
import { logged, startCli } from '../cli/cli.js';
import { startWorkerProcess } from '../faults/worker-process.js';
import { testPlace } from '../store/place.js';

const STUBBORN = fileURLToPath(new URL('./stubborn.ts', import.meta.url));
const TIMEOUT_MS = Number(process.env.HOLDING_TIMEOUT_MS);

/** Tells the test that looks which processes it should look for. */
function tell(what: string, ...pids: (number | undefined)[]): void {
  appendFileSync(process.env.HOLDING_FILE as string, `${what} ${pids.join(' ')}\n`);
}

async function startStubborn(): Promise<number[]> {
  const child = startProgram(STUBBORN);
  const [line] = await once(child.stdout as NodeJS.ReadableStream, 'data');
  return JSON.parse(line);
}

it('holds workers and a program that ends by no signal', { timeout: TIMEOUT_MS }, async () => {
  tell('runner', process.pid);
  const place = await testPlace();
  tell('worker', (await startWorkerProcess(place)).pid);
  const worker = startCli(['worker'], { CKPT_SCHEMA: place.schema, CKPT_QUEUE: place.queue });
  await logged(worker, 'writer started');
  tell('cli', worker.pid);
  tell('stubborn', ...(await startStubborn()));
  await new Promise(() => {});
});

it('starts another one after its time is over', { timeout: 1 }, async ({ signal }) => {
  await once(signal, 'abort');
  // Beyond the end of the test, and before that of the next one.
  setTimeout(() => {
    startStubborn().then(
      (pids) => tell('late', ...pids),
      () => {},
    );
  }, 100);
});

it('goes on for a while', { timeout: 2 * TIMEOUT_MS }, () => new Promise((end) => setTimeout(end, 2000)));
