import { ceiling } from './ceiling.js';
import type { Contender } from './contender.js';
import { jobPerSave } from './job-per-save.js';
import { pipeline } from './pipeline.js';
import { postgresSaver } from './postgres-saver.js';
import { upserts } from './upserts.js';

/** All who run, in the order of the table. */
export const CONTENDERS: readonly Contender[] = [pipeline, upserts, postgresSaver, jobPerSave, ceiling];

export function contendersOf(names: readonly string[]): Contender[] {
  return CONTENDERS.filter(({ name }) => names.includes(name));
}
