import fc from 'fast-check';
import { happenings } from './names.js';
import { complaintsAbout } from './oracle.js';
import { runSequence } from './run-sequence.js';
import { type Sequence, sequences, stepText } from './steps.js';
import type { World } from './world.js';

export interface CheckOptions {
  readonly runs: number;
  readonly seed?: number;
  /** Where in the shrinking of the seed to begin: the counterexample of an earlier run. */
  readonly path?: string;
  /** Do not look for a shorter counterexample. */
  readonly endOnFailure?: boolean;
  /** Only complaints like this count. Default: all. */
  readonly like?: RegExp;
  readonly onRun?: () => void;
  /** Runs no more when it is aborted. */
  readonly signal?: AbortSignal;
}

export interface Counterexample {
  readonly seed: number;
  readonly path: string;
  readonly runs: number;
  readonly shrinks: number;
  /** Steps and complaints, a line each. */
  readonly text: string;
}

/** A shorter sequence fails by chance too: it is run so many times before it counts as good. */
const TRIES_IN_SHRINKING = 12;
/** What is found by then is short enough. */
const SHRINKING_MS = 60_000;

/** Runs sequences until one breaks a promise, and shortens that one. @returns it, or undefined if all went well */
export async function check(world: World, options: CheckOptions): Promise<Counterexample | undefined> {
  const { runs, seed, path, endOnFailure, like, onRun, signal } = options;
  let tries = path === undefined ? 1 : TRIES_IN_SHRINKING;
  let complaints: string[] = [];
  let happened: string[] = [];
  let deadline = Number.POSITIVE_INFINITY;
  const keepsPromises = fc.asyncProperty(sequences, async (sequence: Sequence) => {
    if (signal?.aborted || Date.now() > deadline) return true;
    for (let attempt = 0; attempt < tries; attempt++) {
      const running = runSequence(world, { ...sequence, delays: sequence.delays + attempt });
      // Broken writers may also bring a run to no end, which is no complaint that is looked for.
      const run = await (like ? running.catch(() => undefined) : running);
      if (!run) continue;
      const found = complaintsAbout(run).filter((complaint) => !like || like.test(complaint));
      if (found.length === 0) continue;
      tries = TRIES_IN_SHRINKING;
      deadline = Math.min(deadline, Date.now() + SHRINKING_MS);
      complaints = found;
      happened = happenings(run);
      return false;
    }
    onRun?.();
    return true;
  });
  const details = await fc.check(keepsPromises, { numRuns: runs, seed, path, endOnFailure });
  if (!details.failed) return undefined;
  // Not a broken promise: a run that came to no end.
  if (details.counterexamplePath === null || complaints.length === 0) throw details.errorInstance;
  const [{ steps, again }] = details.counterexample as [Sequence];
  return {
    seed: details.seed,
    path: details.counterexamplePath as string,
    runs: details.numRuns,
    shrinks: details.numShrinks,
    text: [
      ...steps.map((step) => `  ${stepText(step)}`),
      ...(again.includes(true) ? ['  jobs delivered again in the end'] : []),
      ...complaints.map((complaint) => `! ${complaint}`),
      'What happened:',
      ...happened.map((line) => `  ${line}`),
    ].join('\n'),
  };
}

/** For people, with what it takes to see it again. */
export function reportOf({ seed, path, runs, shrinks, text }: Counterexample): string {
  return [
    `Counterexample after ${runs} sequences and ${shrinks} shrinks:`,
    text,
    `See it again: npm run soak -- --seed ${seed} --path ${path}`,
  ].join('\n');
}
