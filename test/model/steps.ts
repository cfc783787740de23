import fc from 'fast-check';
import { OPERATOR_ACT_NAMES, type OperatorAct } from '../faults/operator-acts.js';

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
  /** The connection of a producer to Redis is lost when so many more bytes have passed: in between what it is asked next. */
  | {
      readonly kind: 'cut';
      readonly producer: number;
      readonly bytes: number;
      readonly direction: 'toServer' | 'toClient';
    }
  /** What an operator does to the jobs, by BullMQ's own means. */
  | { readonly kind: 'operate'; readonly act: OperatorAct }
  /** A number that no sequence can be: as the last one in Redis, until it is mended; in a dead letter that is imported. */
  | { readonly kind: 'damage key' | 'damage letter'; readonly number: string }
  /** Another program gives a stored row such a number; it is mended when a delete of the row was tried. */
  | {
      readonly kind: 'damage row';
      readonly producer: number;
      readonly which: number;
      readonly number: string;
    }
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

const cut = fc.record({
  kind: fc.constant('cut' as const),
  producer,
  bytes: fc.nat({ max: 6000 }),
  direction: fc.constantFrom('toServer' as const, 'toClient' as const),
  ...timing,
});
const operate = fc.record({
  kind: fc.constant('operate' as const),
  act: fc.constantFrom(...OPERATOR_ACT_NAMES),
  ...timing,
});
const number = fc.constantFrom('9007199254740991', '9223372036854775807');
const damage = fc.oneof(
  fc.record({
    kind: fc.constantFrom('damage key' as const, 'damage letter' as const),
    number,
    ...timing,
  }),
  fc.record({
    kind: fc.constant('damage row' as const),
    producer,
    which: fc.nat({ max: 2 }),
    number,
    ...timing,
  }),
);

/** A job that an operator removed is back after one to two seconds: such steps are rare, so that a run stays short. */
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 60, arbitrary: save },
  { weight: 30, arbitrary: ofId },
  { weight: 30, arbitrary: ofExecution },
  { weight: 10, arbitrary: redeliver },
  { weight: 8, arbitrary: cut },
  { weight: 3, arbitrary: operate },
  { weight: 3, arbitrary: damage },
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
    case 'cut':
      return `after ${step.bytes} bytes ${step.direction}`;
    case 'operate':
      return step.act;
    case 'damage key':
    case 'damage letter':
      return `with ${step.number}`;
    case 'damage row':
      return `${step.which} with ${step.number}`;
    default:
      return 'id' in step ? step.id : step.execution;
  }
}
