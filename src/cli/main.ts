#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { note } from './command.js';
import { registerClear } from './commands/clear.js';
import { registerConfig } from './commands/config.js';
import { registerDashboard } from './commands/dashboard.js';
import { registerDead } from './commands/dead/index.js';
import { registerDelete } from './commands/delete.js';
import { registerDemo } from './commands/demo.js';
import { registerDoctor } from './commands/doctor.js';
import { registerInit } from './commands/init.js';
import { registerLatest } from './commands/latest.js';
import { registerList } from './commands/list.js';
import { registerLoad } from './commands/load.js';
import { registerPrune } from './commands/prune.js';
import { registerRepair } from './commands/repair.js';
import { registerSave } from './commands/save.js';
import { registerStats } from './commands/stats.js';
import { registerWorker } from './commands/worker.js';

const HELP = `
Saves go to Redis and are acknowledged there; workers commit them to PostgreSQL in batches; reads go to PostgreSQL.

Settings come from the environment: DATABASE_URL and REDIS_URL, CKPT_QUEUE, CKPT_SCHEMA, CKPT_TABLE and others,
which "ckpt config" lists with their meaning.

Examples:
  ckpt demo                                    try it, without any services; --langgraph with graphs
  ckpt init && ckpt worker                     make the tables, run a worker
  ckpt save checkpoints.jsonl --wait           save a file of JSON lines
  ckpt latest run-1 --consistency latest       where to resume, with all that was acknowledged
  ckpt stats --watch                           queue, lag and rates
  ckpt dashboard                               all of it in a browser
  ckpt doctor                                  what is wrong or will be, and what to do
  ckpt prune --keep-last 20 --older-than 30d   remove what is old
  ckpt dead list                               what PostgreSQL refuses; "ckpt dead --help" says what to do

Exit code: 0 done, 1 failed, 2 wrong usage or settings, 130 interrupted; of doctor: 1 warnings, 2 errors.`;

const USAGE_EXIT_CODE = 2;
/** Known before the arguments are parsed, for the errors of parsing them. */
const asJson = process.argv.includes('--json');

function buildProgram(): Command {
  const program = new Command('ckpt')
    .description('checkpoint-queue: checkpoints of agents, saved without waiting for the database')
    .version(packageVersion())
    .addHelpText('after', HELP)
    .exitOverride()
    .configureOutput({
      outputError: (text) => {
        if (!asJson) note(text.trimEnd().split('\n'));
      },
    });
  const registrations = [
    registerDemo,
    registerInit,
    registerWorker,
    registerSave,
    registerLoad,
    registerLatest,
    registerList,
    registerDelete,
    registerClear,
    registerPrune,
    registerDead,
    registerStats,
    registerDashboard,
    registerDoctor,
    registerRepair,
    registerConfig,
  ];
  for (const register of registrations) register(program);
  return program;
}

/** package.json stands beside `src`, or beside `dist/src` in the built package. */
function packageVersion(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      return JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')).version;
    } catch {
      // the other place
    }
  }
  return 'unknown';
}

// A reader that has seen enough (`ckpt list … | head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  await buildProgram().parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  if (asJson && error.exitCode !== 0)
    note(JSON.stringify({ error: { code: 'USAGE', message: error.message } }));
  process.exitCode = error.exitCode === 0 ? 0 : USAGE_EXIT_CODE;
}
