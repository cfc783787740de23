import type { ContenderName, Figures } from './contenders/contender.js';
import type { Result } from './rounds.js';

/** A ratio that we aim at. It is reported, never asserted: it depends on the machine. */
interface Target {
  readonly states: string;
  readonly figure: string;
  /** The measured ratio; NaN without its figures. */
  readonly ratio: (of: Lookup) => number;
  readonly bound: { atLeast: number } | { atMost: number };
}

export interface TargetReport {
  readonly states: string;
  readonly figure: string;
  readonly target: string;
  readonly measured: number;
  readonly met: boolean;
  /** By how much of the target it is missed, 0.1 for a tenth; 0 if it is met. */
  readonly missedBy: number;
}

type Lookup = (contender: ContenderName, figure: keyof Figures) => number;

const TARGETS: readonly Target[] = [
  {
    states: '1 KB',
    figure: 'sustained, 2000 in flight ÷ upserts',
    ratio: (of) => of('pipeline', 'unawaited') / of('upserts', 'awaited'),
    bound: { atLeast: 3.5 },
  },
  {
    states: '1 KB',
    figure: 'sustained, 2000 in flight ÷ PostgresSaver.put',
    ratio: (of) => of('pipeline', 'unawaited') / of('postgres-saver', 'awaited'),
    bound: { atLeast: 7 },
  },
  {
    states: '1 KB',
    figure: 'drain of a full queue ÷ ceiling',
    ratio: (of) => of('pipeline', 'drain') / of('ceiling', 'drain'),
    bound: { atLeast: 0.5 },
  },
  {
    states: '1 KB',
    figure: 'save p99 at 64 savers ÷ PostgresSaver.put',
    ratio: (of) => of('pipeline', 'p99Ms') / of('postgres-saver', 'p99Ms'),
    bound: { atMost: 0.25 },
  },
  {
    states: '8 KB',
    figure: 'sustained, 2000 in flight ÷ upserts',
    ratio: (of) => of('pipeline', 'unawaited') / of('upserts', 'awaited'),
    bound: { atLeast: 1.5 },
  },
];

/** The targets whose figures were measured. */
export function reportTargets(results: readonly Result[]): TargetReport[] {
  return TARGETS.flatMap(({ states, figure, ratio, bound }) => {
    const measured = ratio(lookup(results, states));
    if (Number.isNaN(measured)) return [];
    const missedBy =
      'atLeast' in bound
        ? Math.max(0, 1 - measured / bound.atLeast)
        : Math.max(0, measured / bound.atMost - 1);
    const target = 'atLeast' in bound ? `≥ ${bound.atLeast}` : `≤ ${bound.atMost}`;
    return [{ states, figure, target, measured, met: missedBy === 0, missedBy }];
  });
}

/** Figures by contender, for one kind of states; NaN where there is none. */
export function lookup(results: readonly Result[], states: string): Lookup {
  return (contender, figure) =>
    results.find((result) => result.states === states && result.contender === contender)?.median[figure] ??
    Number.NaN;
}
