import type { GraphSubject } from './graphs/graph-subject.js';
import { SAVERS } from './plan.js';
import { aligned, explained, milliseconds, ratio, roundsText, whole } from './report.js';
import type { Result } from './rounds.js';
import { bestOfficial, lookup } from './targets.js';

const HEADINGS = [
  ['', 'acknowledged', '', 'committed', '', 'p50', 'p99', '', `${SAVERS} runs`, '', 'committed', 'worker'],
  ['', 'calls/s', '÷ best', 'calls/s', '÷ best', 'ms', 'ms', '÷ best', 'ms', '÷ best', 'ms', 'RSS MB'],
];

/** A table of LangGraph's checkpointers for each kind of states. */
export function graphsText(results: readonly Result[], subjects: readonly GraphSubject[]): string {
  const kinds = [...new Set(results.map(({ states }) => states))];
  const tables = kinds.map((kind) => {
    const measured = results.filter(({ states, rounds }) => states === kind && rounds.length > 0);
    return `LangGraph, ${kind}, ${roundsText(results, kind)}\n${aligned([...HEADINGS, ...measured.map((result) => row(results, result))])}`;
  });
  const columns = [
    ['calls', `${SAVERS} threads make the calls of put and putWrites of recorded runs, each awaits its call`],
    ['committed', 'from the first call until the last one is committed'],
    [
      'runs',
      `${SAVERS} whole runs of the graph at once, durability sync: until the last returned, is committed`,
    ],
    ['÷ best', "of LangGraph's own saver, with the pool that is best for it at this figure"],
  ];
  return [...tables, explained([...subjects.map(({ name, about }) => [name, about]), ...columns])].join(
    '\n\n',
  );
}

function row(results: readonly Result[], { states, subject, median }: Result): string[] {
  const of = lookup(results, states);
  const toBest = (figure: Parameters<typeof bestOfficial>[1]) => {
    const value = (median[figure] ?? Number.NaN) / bestOfficial(of, figure);
    return ratio(Number.isNaN(value) ? undefined : value);
  };
  return [
    subject,
    whole(median.callsAcknowledged),
    toBest('callsAcknowledged'),
    whole(median.callsCommitted),
    toBest('callsCommitted'),
    milliseconds(median.callP50Ms),
    milliseconds(median.callP99Ms),
    toBest('callP99Ms'),
    whole(median.runsMs),
    toBest('runsMs'),
    whole(median.runsCommittedMs),
    whole(median.workerRss && median.workerRss / 2 ** 20),
  ];
}
