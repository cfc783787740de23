import type { Disturbance, Failure, History } from './history.js';

const LOST_CONNECTION = 'QUEUE_UNAVAILABLE';
const DAMAGED_SEQUENCE = 'SEQUENCE_OUT_OF_RANGE';

/** Operations that failed although nothing was done that lets them fail, a sentence each. */
export function unexplainedFailures({ failures, disturbances }: History): string[] {
  return failures
    .filter((failure) => !disturbances.some((disturbance) => explains(disturbance, failure)))
    .map(({ what, code }) => `${what} failed with ${code}`);
}

/** Whether a save that failed like this may be stored: a number that is refused leaves nothing, unless a try before it was lost. */
export function mayBeStored(failure: Failure, disturbances: readonly Disturbance[]): boolean {
  return failure.code !== DAMAGED_SEQUENCE || disturbances.some(({ kind }) => kind === 'cut');
}

/**
 * The history without the ids of which a save failed and may be stored, and without reads that showed the newest of several ids if one
 * of these is among them. What removals must have done to other ids stays.
 */
export function withoutDoubt(history: History): History {
  const { saves, answers, rows, reads, doubtful } = history;
  if (doubtful.length === 0) return history;
  const ids = new Set(doubtful.map(({ id }) => id));
  const executions = new Set(doubtful.map(({ executionId }) => executionId));
  const isSure = ({ id }: { readonly id: string }) => !ids.has(id);
  const sure = saves.filter(isSure);
  const tokens = new Set(sure.map(({ token }) => token));
  return {
    ...history,
    saves: sure,
    answers: answers.filter(({ token }) => tokens.has(token)),
    rows: rows.filter(isSure),
    reads: reads
      .filter(({ view, key }) => (view === 'latest' ? !executions.has(key) : !ids.has(key)))
      .map((read) => ({ ...read, shown: read.shown.filter(isSure) })),
  };
}

function explains({ kind, producer, called, returned }: Disturbance, failure: Failure): boolean {
  if (called > failure.returned) return false;
  if (kind === 'cut') return failure.code === LOST_CONNECTION && failure.producer === producer;
  return failure.code === DAMAGED_SEQUENCE && failure.called < returned;
}
