import type { Figures } from './figures.js';
import type { Place } from './place.js';
import type { Plan } from './plan.js';
import type { StateSet } from './states.js';

/** One measurement of one subject. */
export interface Run {
  readonly place: Place;
  readonly states: StateSet;
  readonly plan: Plan;
  readonly signal: AbortSignal;
}

/** What is measured. It leaves tables and queue as they are afterwards, and nothing running. */
export interface Subject<Name extends string = string> {
  readonly name: Name;
  /** For people who read the table. */
  readonly about: string;
  measure(run: Run): Promise<Figures>;
}
