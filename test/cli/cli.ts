import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { services } from '../services.js';

export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** Starts the real command line, on the services of the test run unless `env` says otherwise. */
export function startCli(args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const { databaseUrl, redisUrl } = services();
  return spawn(process.execPath, ['--import', 'tsx', MAIN, ...args], {
    env: { ...withoutSettings(process.env), DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, ...env },
  });
}

/** Runs a command to its end. */
export async function runCli(args: string[], env: NodeJS.ProcessEnv = {}, input = ''): Promise<CliResult> {
  const child = startCli(args, env);
  const output = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  child.stdin?.end(input);
  const [code] = await once(child, 'close');
  return { code, ...output };
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
