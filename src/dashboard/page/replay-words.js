import { formatNumber } from './format.js';

/**
 * @typedef {import('../page-api.js').ReplayResult} ReplayResult
 */

/** @type {[keyof ReplayResult, string][]} */
const OUTCOMES = [
  ['committed', 'committed'],
  ['superseded', 'superseded by a newer save'],
  ['deleted', 'deleted since'],
  ['deadAgain', 'refused again'],
  ['pending', 'still in the queue'],
  ['unknown', 'done, outcome not known'],
];

/**
 * What became of a replay, and what to do about it.
 * @param {ReplayResult} result
 * @returns {{ summary: string, notes: string[] }}
 */
export function replayWords(result) {
  const parts = OUTCOMES.filter(([name]) => result[name] > 0).map(
    ([name, words]) => `${formatNumber(result[name])} ${words}`,
  );
  const summary = `Replayed ${formatNumber(result.replayed)}${parts.length > 0 ? `: ${parts.join(', ')}` : ''}.`;
  const notes = [];
  if (result.deadAgain > 0)
    notes.push('What was refused again is a dead letter again: its reason is not gone.');
  if (result.pending > 0)
    notes.push('What is still in the queue is committed as soon as a worker takes it. Does one run?');
  if (result.skipped > 0)
    notes.push(
      `${formatNumber(result.skipped)} were not there any more: replayed or purged by somebody else.`,
    );
  return { summary, notes };
}
