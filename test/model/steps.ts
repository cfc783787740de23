import fc from 'fast-check';

/** How long the next step waits after this one was called: not at all, for its reply, or for the replies of all so far. */
export type Wait = 'none' | 'own' | 'all';

/** One operation of a sequence. `pauseMs` passes before it. */
export type Step = { readonly wait: Wait; readonly pauseMs: number } & (
  | {
      readonly kind: 'save';
      readonly producer: number;
      readonly id: string;
      readonly version: number;
      /** Months, two of them in partitions of their own if there are any; orders the checkpoints of an execution. */
      readonly at: number;
      /** Too large for the queue: written straight to PostgreSQL. */
      readonly large: boolean;
      /** Ask its receipt at once, not only in the end. */
      readonly ask: boolean;
    }
  | { readonly kind: 'load'; readonly producer: number; readonly id: string }
  | { readonly kind: 'delete'; readonly producer: number; readonly id: string }
  | { readonly kind: 'latest'; readonly producer: number; readonly execution: string }
  | { readonly kind: 'list'; readonly producer: number; readonly execution: string }
  | { readonly kind: 'clear'; readonly producer: number; readonly execution: string }
  /** Delivers again one of the jobs of this sequence that are done. */
  | { readonly kind: 'redeliver'; readonly which: number }
);

export interface Sequence {
  readonly steps: readonly Step[];
  /** Jobs that are delivered again when all else has settled: those whose turn has `true`, over and over. */
  readonly again: readonly boolean[];
  /** Seed of the writers' delays and lost replies. */
  readonly delays: number;
}

export const PRODUCERS = 2;
/** Of each id, its execution. */
export const HOME: Readonly<Record<string, string>> = { a: 'x', b: 'x', c: 'y' };
const MAX_STEPS = 14;

const timing = {
  wait: fc.constantFrom<Wait>('own', 'own', 'none', 'none', 'none', 'all'),
  pauseMs: fc.constantFrom(0, 0, 0, 0, 1, 3, 8),
};
const producer = fc.nat({ max: PRODUCERS - 1 });
const id = fc.constantFrom(...Object.keys(HOME));
const execution = fc.constantFrom(...new Set(Object.values(HOME)));

const save = fc.record({
  kind: fc.constant('save' as const),
  producer,
  id,
  version: fc.nat({ max: 3 }),
  at: fc.nat({ max: 2 }),
  large: fc.constantFrom(false, false, false, false, false, false, true),
  ask: fc.boolean(),
  ...timing,
});
const ofId = fc.record({
  kind: fc.constantFrom('load' as const, 'delete' as const),
  producer,
  id,
  ...timing,
});
const ofExecution = fc.record({
  kind: fc.constantFrom('list' as const, 'latest' as const, 'clear' as const),
  producer,
  execution,
  ...timing,
});
const redeliver = fc.record({
  kind: fc.constant('redeliver' as const),
  which: fc.nat({ max: 9 }),
  ...timing,
});

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: save },
  { weight: 3, arbitrary: ofId },
  { weight: 3, arbitrary: ofExecution },
  { weight: 1, arbitrary: redeliver },
);

export const sequences: fc.Arbitrary<Sequence> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: MAX_STEPS, size: 'max' }),
  again: fc.array(fc.boolean(), { maxLength: 3 }),
  delays: fc.noShrink(fc.nat()),
});

/** A line for people. */
export function stepText(step: Step): string {
  const by = 'producer' in step ? `producer ${step.producer}: ` : '';
  const pause = step.pauseMs > 0 ? `after ${step.pauseMs} ms, ` : '';
  const then = { none: '', own: '; waits for it', all: '; waits for all' }[step.wait];
  return `${pause}${by}${step.kind} ${objectOf(step)}${then}`;
}

function objectOf(step: Step): string {
  switch (step.kind) {
    case 'save':
      return `${step.id} v${step.version} at ${step.at} s${step.large ? ', large' : ''}${step.ask ? ', asks its receipt' : ''}`;
    case 'redeliver':
      return `job ${step.which}`;
    default:
      return 'id' in step ? step.id : step.execution;
  }
}
