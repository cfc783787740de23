import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { onTestFinished } from 'vitest';
import { kill, spawnGuarded } from './guarded-child.js';

/** As `spawnGuarded`; the child is killed when the test is over, and at once if it was over before. */
export function spawnForTest(command: string, args: readonly string[], options?: SpawnOptions): ChildProcess {
  return endWithTest(spawnGuarded(command, args, options), kill);
}

/** Starts a TypeScript program, as `spawnForTest`. */
export function startProgram(
  file: string,
  args: readonly string[] = [],
  options?: SpawnOptions,
): ChildProcess {
  return spawnForTest(process.execPath, ['--import', 'tsx', file, ...args], options);
}

/** Ends what was started when the test is over, and at once if that was before: a test that has run out of time goes on for a while. */
export function endWithTest<T>(started: T, end: (started: T) => Promise<void>): T {
  try {
    onTestFinished(() => end(started));
  } catch (error) {
    void end(started);
    throw error;
  }
  return started;
}

export interface ProgramResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a child has written, and its exit code, when it has ended. */
export async function resultOf(child: ChildProcess, input = ''): Promise<ProgramResult> {
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  child.stdin?.end(input);
  const [code] = await once(child, 'close');
  return { code, ...output };
}
