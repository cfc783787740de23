import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type ProgramResult, resultOf, startProgram } from '../child-process.js';
import { services } from '../services.js';

export type CliResult = ProgramResult;

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** Starts the real command line, on the services of the test run unless `env` says otherwise. It is killed when the test is over. */
export function startCli(args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const { databaseUrl, redisUrl } = services();
  return startProgram(MAIN, args, {
    env: { ...withoutSettings(process.env), DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, ...env },
  });
}

/** Runs a command to its end. */
export function runCli(args: string[], env: NodeJS.ProcessEnv = {}, input = ''): Promise<CliResult> {
  return resultOf(startCli(args, env), input);
}

/** Resolves when the worker's log says so. */
export async function logged(worker: ChildProcess, message: string): Promise<void> {
  let log = '';
  for await (const text of worker.stdout?.iterator({ destroyOnReturn: false }) ?? []) {
    log += text;
    if (log.includes(message)) return;
  }
  throw new Error(`the worker ended without saying: ${message}`);
}

function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('CKPT_')));
}
