import type { Subject } from '../subject.js';

/** In the order of the table. */
export const CONTENDER_NAMES = ['pipeline', 'upserts', 'postgres-saver', 'job-per-save', 'ceiling'] as const;
export type ContenderName = (typeof CONTENDER_NAMES)[number];

/** One way to save checkpoints. */
export type Contender = Subject<ContenderName>;
