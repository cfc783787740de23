import type { ReplayOutcome, ReplayResult } from '../dead-letters/replay-options.js';
import { CommandError } from './command.js';

/** The result of a replay for people: what became of how many. */
export function replayText(result: ReplayResult): string {
  const { replayed, committed, superseded, deleted, deadAgain, pending, unknown, skipped } = result;
  const parts = [
    `${committed} committed`,
    `${superseded} superseded by a newer save`,
    `${deleted} deleted since`,
    `${deadAgain} dead again`,
  ];
  if (unknown > 0) parts.push(`${unknown} ended without a trace in PostgreSQL, or it was not asked`);
  if (pending > 0) parts.push(`${pending} still in the queue (is a worker running?)`);
  if (skipped > 0) parts.push(`${skipped} not there any more`);
  return `replayed ${replayed}: ${parts.join(', ')}`;
}

/** @throws CommandError if anything was refused again */
export function assertNoneDead({ deadAgain }: ReplayResult): void {
  if (deadAgain > 0) throw new CommandError(`${deadAgain} refused again`, 'DEAD_AGAIN');
}

const OUTCOMES: Readonly<Record<ReplayOutcome['outcome'], string>> = {
  committed: 'committed',
  superseded: 'superseded by a newer save',
  deleted: 'deleted since',
  deadAgain: 'dead again',
  pending: 'still in the queue',
  unknown: 'ended without a trace in PostgreSQL, or it was not asked',
  skipped: 'not there any more, or its payload is lost',
};

/** One line for one dead letter. */
export function outcomeText({ deadLetterId, id, outcome, nextDeadLetterId, reason }: ReplayOutcome): string {
  const checkpoint = id === undefined ? '' : ` (checkpoint ${id})`;
  const again = nextDeadLetterId === undefined ? '' : ` as ${nextDeadLetterId}: ${reason}`;
  return `${deadLetterId}${checkpoint}: ${OUTCOMES[outcome]}${again}`;
}
