import type { Command } from 'commander';
import { loadConfig, withServices } from '../../config.js';
import { SETTINGS } from '../../settings.js';
import { type CommonOptions, failCommand } from '../command.js';

/** Options that stand for the environment variable of the same setting. */
const OPTIONS = [
  'concurrency',
  'maxBatchRecords',
  'maxBatchBytes',
  'lingerMs',
  'maxConcurrentBatches',
  'shutdownDeadlineMs',
  'logLevel',
  'httpPort',
  'httpHost',
] as const;

type WorkerCommandOptions = CommonOptions & Partial<Record<(typeof OPTIONS)[number], string>>;

export function registerWorker(program: Command): void {
  const command = program
    .command('worker')
    .description('run one worker replica until SIGTERM or Ctrl-C; logs JSON lines to standard output')
    .option('--json', 'the log is JSON already');
  for (const name of OPTIONS) {
    const { env, meaning } = SETTINGS[name];
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    command.option(`--${flag} <value>`, `${meaning} (${env})`);
  }
  command.action(startWorker);
}

/** Not run as the other commands are: the worker has its own way to stop, and stopping it is no failure. */
async function startWorker(options: WorkerCommandOptions): Promise<void> {
  try {
    const env = { ...process.env };
    for (const name of OPTIONS) if (options[name] !== undefined) env[SETTINGS[name].env] = options[name];
    const { runWorker } = await import('../../../workers/checkpoint-worker.js');
    await runWorker(withServices(loadConfig(env)));
    process.exit(0);
  } catch (error) {
    failCommand(error, options.json ?? false);
    process.exit();
  }
}
