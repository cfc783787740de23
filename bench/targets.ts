import type { ContenderName } from './contenders/contender.js';
import type { Figures } from './figures.js';
import { type GraphSubjectName, OFFICIAL_NAMES } from './graphs/graph-subject.js';
import type { Result } from './rounds.js';
import type { ScenarioName } from './scenarios/scenario.js';

/** What we aim at: a ratio, or where a unit is given a figure in it. It is reported, never asserted: it depends on the machine. */
interface Target {
  readonly states: string;
  readonly figure: string;
  /** NaN without its figures. */
  readonly measured: (of: Lookup) => number;
  readonly bound: { atLeast: number } | { atMost: number };
  readonly unit?: 'ms';
}

export interface TargetReport {
  readonly states: string;
  readonly figure: string;
  readonly target: string;
  readonly measured: number;
  readonly unit?: string;
  readonly met: boolean;
  /** By how much of the target it is missed, 0.1 for a tenth; 0 if it is met. */
  readonly missedBy: number;
}

type Lookup = (subject: ContenderName | ScenarioName | GraphSubjectName, figure: keyof Figures) => number;

const TARGETS: readonly Target[] = [
  {
    states: '1 KB',
    figure: 'sustained, 2000 in flight ÷ upserts',
    measured: (of) => of('pipeline', 'unawaited') / of('upserts', 'awaited'),
    bound: { atLeast: 3.5 },
  },
  {
    states: '1 KB',
    figure: 'sustained, 2000 in flight ÷ PostgresSaver.put',
    measured: (of) => of('pipeline', 'unawaited') / of('postgres-saver', 'awaited'),
    bound: { atLeast: 7 },
  },
  {
    states: '1 KB',
    figure: 'drain of a full queue ÷ ceiling',
    measured: (of) => of('pipeline', 'drain') / of('ceiling', 'drain'),
    bound: { atLeast: 0.5 },
  },
  {
    states: '1 KB',
    figure: 'save p99 at 64 savers ÷ PostgresSaver.put',
    measured: (of) => of('pipeline', 'p99Ms') / of('postgres-saver', 'p99Ms'),
    bound: { atMost: 0.25 },
  },
  {
    states: '8 KB',
    figure: 'sustained, 2000 in flight ÷ upserts',
    measured: (of) => of('pipeline', 'unawaited') / of('upserts', 'awaited'),
    bound: { atLeast: 1.5 },
  },
  {
    states: '1 KB',
    figure: 'sustained, beside 50 clears/s ÷ without',
    measured: (of) => of('clears', 'clearsRatio'),
    bound: { atLeast: 0.9 },
  },
  {
    states: '1 KB',
    figure: 'clear p99 beside 2000 saves in flight',
    measured: (of) => of('clears', 'clearP99Ms'),
    bound: { atMost: 200 },
    unit: 'ms',
  },
  {
    states: '1 KB',
    figure: 'read of the latest − of what is committed, p50',
    measured: (of) => of('latest', 'latestCostMs'),
    bound: { atMost: 1 },
    unit: 'ms',
  },
  {
    states: '1 KB',
    figure: 'drain, 4 replicas ÷ 1, PostgreSQL 10 ms away',
    measured: (of) => of('replicas', 'smallBatchesRatio'),
    bound: { atLeast: 3.5 },
  },
  {
    states: '1 KB',
    figure: 'sustained, large table ÷ empty',
    measured: (of) => of('large', 'largePlainRatio'),
    bound: { atLeast: 0.6 },
  },
  {
    states: '1 KB',
    figure: 'sustained, large table ÷ empty, partitioned',
    measured: (of) => of('large', 'largePartitionedRatio'),
    bound: { atLeast: 0.6 },
  },
  ...['1 KB', '8 KB'].flatMap(graphTargets),
];

/** Beside LangGraph's own saver with the pool that is best for it at each figure. */
function graphTargets(states: string): Target[] {
  return [
    {
      states,
      figure: 'put and putWrites acknowledged ÷ PostgresSaver',
      measured: (of) => of('queued-saver', 'callsAcknowledged') / bestOfficial(of, 'callsAcknowledged'),
      bound: { atLeast: 4 },
    },
    {
      states,
      figure: 'put and putWrites committed ÷ PostgresSaver',
      measured: (of) => of('queued-saver', 'callsCommitted') / bestOfficial(of, 'callsCommitted'),
      bound: { atLeast: 4 },
    },
    {
      states,
      figure: 'p99 of a call ÷ PostgresSaver',
      measured: (of) => of('queued-saver', 'callP99Ms') / bestOfficial(of, 'callP99Ms'),
      bound: { atMost: 0.25 },
    },
    {
      states,
      figure: 'whole graph runs, durability sync ÷ PostgresSaver',
      measured: (of) => of('queued-saver', 'runsMs') / bestOfficial(of, 'runsMs'),
      bound: { atMost: 1 },
    },
  ];
}

/** The best figure of LangGraph's own saver with any of its pools; NaN where none was measured. */
export function bestOfficial(
  of: Lookup,
  figure: 'callsAcknowledged' | 'callsCommitted' | 'callP99Ms' | 'runsMs',
): number {
  const figures = OFFICIAL_NAMES.map((name) => of(name, figure)).filter((value) => !Number.isNaN(value));
  if (figures.length === 0) return Number.NaN;
  return figure === 'callP99Ms' || figure === 'runsMs' ? Math.min(...figures) : Math.max(...figures);
}

/** The targets whose figures were measured. */
export function reportTargets(results: readonly Result[]): TargetReport[] {
  return TARGETS.flatMap(({ states, figure, measured: measure, bound, unit }) => {
    const measured = measure(lookup(results, states));
    if (Number.isNaN(measured)) return [];
    const missedBy =
      'atLeast' in bound
        ? Math.max(0, 1 - measured / bound.atLeast)
        : Math.max(0, measured / bound.atMost - 1);
    const target = withUnit('atLeast' in bound ? `≥ ${bound.atLeast}` : `≤ ${bound.atMost}`, unit);
    return [{ states, figure, target, measured, ...(unit && { unit }), met: missedBy === 0, missedBy }];
  });
}

export function withUnit(text: string, unit: string | undefined): string {
  return unit ? `${text} ${unit}` : text;
}

/** Figures by subject, for one kind of states; NaN where there is none. */
export function lookup(results: readonly Result[], states: string): Lookup {
  return (subject, figure) =>
    results.find((result) => result.states === states && result.subject === subject)?.median[figure] ??
    Number.NaN;
}
