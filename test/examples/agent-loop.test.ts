import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { startProgram } from '../child-process.js';
import { newExecution } from '../contract/checkpoints.js';
import { testRecorder } from '../recorder/recorders.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';

const PROGRAM = fileURLToPath(new URL('../../examples/agent-loop.ts', import.meta.url));
const STEPS = Array.from({ length: 20 }, (_, index) => index + 1);

function start(args: string[], env: NodeJS.ProcessEnv): ChildProcess {
  return startProgram(PROGRAM, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

function settings({ redis, postgres, queue, schema }: Place): NodeJS.ProcessEnv {
  return { REDIS_URL: redis, DATABASE_URL: postgres, CKPT_QUEUE: queue, CKPT_SCHEMA: schema };
}

/** Runs the agent, gives what it printed, and kills it some milliseconds after so many lines. */
async function runAgent(
  place: Place,
  executionId: string,
  kill?: { afterLines: number; afterMs: number },
): Promise<{ lines: string[]; code: number | null }> {
  const child = start(['agent', executionId], settings(place));
  const closed = once(child, 'close');
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    lines.push(line);
    if (lines.length === kill?.afterLines) void delay(kill.afterMs).then(() => child.kill('SIGKILL'));
  }
  const [code] = await closed;
  return { lines, code };
}

/** The steps of the lines that begin so. */
function stepsOf(lines: readonly string[], beginning: string): number[] {
  return lines
    .filter((line) => line.startsWith(beginning))
    .map((line) => Number(line.slice(beginning.length)));
}

it('a killed agent resumes behind its last acknowledged step and runs no acknowledged step again', async () => {
  const place = await testPlace();
  await startWriter(place, { lingerMs: 0 });
  const executionId = newExecution();
  const store = testStore(place);
  const printed: string[] = [];
  const acknowledged = new Set<number>();
  // Some lines are printed at the end of a step, so the delay decides in which part of one it dies.
  for (const kill of [1, 2, 3].map(() => ({
    afterLines: 2 + Math.floor(Math.random() * 9),
    afterMs: Math.random() * 70,
  }))) {
    const { lines, code } = await runAgent(place, executionId, kill);
    expect(code, 'it was killed').toBeNull();
    verify(lines, `killed ${JSON.stringify(kill)}`);
    // Acknowledged is what the queue has taken, also where the agent did not live to see it.
    const resumed = await testRecorder<{ done: number }>({ store, executionId }).resume();
    for (let step = 1; step <= (resumed?.state.done ?? 0); step++) acknowledged.add(step);
  }
  const { lines, code } = await runAgent(place, executionId);
  verify(lines, 'undisturbed');

  expect(code).toBe(0);
  expect([...new Set(stepsOf(printed, 'ran step '))], 'all steps, in their order').toEqual(STEPS);
  expect(lines.at(-1)).toBe('finished with 20 notes');

  function verify(lines: string[], kill: string): void {
    printed.push(...lines);
    const context = `${kill}, all runs:\n${printed.join('\n')}`;
    const ran = stepsOf(lines, 'ran step ');
    expect(
      ran.filter((step) => acknowledged.has(step)),
      context,
    ).toEqual([]);
    if (acknowledged.size > 0) expect(lines[0], context).toMatch(`step ${acknowledged.size} is done`);
    if (ran.length > 0) expect(ran[0], context).toBe(acknowledged.size + 1);
    for (const step of stepsOf(lines, 'acknowledged step ')) acknowledged.add(step);
  }
});

it('the example kills and restarts its agent by itself, and comes to the end', async () => {
  const example = start([], settings(await testPlace()));
  let output = '';
  example.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  expect(await once(example, 'close'), output).toEqual([0, null]);
  expect(output).toMatch(/was killed \(SIGKILL\)\nagent \d+: resume after (think|act), step \d+ is done/);
  expect(output).toContain('finished with 20 notes');
  expect(output).toContain('kept the newest 5 checkpoints');
});
