import type { Command } from 'commander';
import { registerDeadCount } from './count.js';
import { registerDeadEdit } from './edit.js';
import { registerDeadExport } from './export.js';
import { registerDeadImport } from './import.js';
import { registerDeadList } from './list.js';
import { registerDeadPurge } from './purge.js';
import { registerDeadReplay } from './replay.js';
import { registerDeadShow } from './show.js';

const HELP = `
A dead letter is a save that PostgreSQL refuses for good, kept with the reason. Remove the reason, then replay; or edit what
is refused; or purge it. A replayed save keeps its place in the order of all saves: what is newer stays, and what was deleted
since stays deleted. One that is refused again gets another id; the ids it had before go on naming it.

Examples:
  ckpt dead list --sqlstate 23514              what a CHECK constraint refuses
  ckpt dead show d-1764043200000000 --payload  the save itself
  ckpt dead replay --all --rate 100/s          all of them, a hundred a second
  ckpt dead purge --older-than 14d             give up what nobody mended
  ckpt dead export letters.jsonl               keep them elsewhere; ckpt dead import puts them back`;

export function registerDead(program: Command): void {
  const dead = program
    .command('dead')
    .description('what PostgreSQL refuses: list, show, count, replay, edit, purge, export, import')
    .addHelpText('after', HELP);
  const registrations = [
    registerDeadList,
    registerDeadShow,
    registerDeadCount,
    registerDeadReplay,
    registerDeadEdit,
    registerDeadPurge,
    registerDeadExport,
    registerDeadImport,
  ];
  for (const register of registrations) register(dead);
}
