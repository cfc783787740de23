import { setTimeout as delay } from 'node:timers/promises';
import type { Figures } from './figures.js';
import { median } from './median.js';
import type { Place } from './place.js';
import type { Plan } from './plan.js';
import type { StateSet } from './states.js';
import type { Run, Subject } from './subject.js';

/** All that was measured of one subject with one kind of states. */
export interface Result {
  readonly states: string;
  readonly subject: string;
  /** One entry a round. */
  readonly rounds: Figures[];
  /** Of each figure, over the rounds. */
  readonly median: Figures;
}

export interface RoundsOptions {
  readonly subjects: readonly Subject[];
  readonly stateSets: readonly StateSet[];
  readonly plan: Plan;
  readonly place: Place;
  readonly signal: AbortSignal;
  readonly onProgress: (message: string) => void;
}

/** For sockets to close and PostgreSQL's writers to come to rest. */
const REST_MS = 100;

/**
 * Rounds in which every subject has its turn with every kind of states, in an order that turns round each time, so
 * that a machine that grows slower or faster favours nobody.
 */
export async function runRounds({ plan, onProgress, ...options }: RoundsOptions): Promise<Result[]> {
  const { subjects, stateSets, place, signal } = options;
  const measured = new Map<string, Figures[]>();
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const lastTook = new Map<string, number>();
  for (let round = 0; round < plan.rounds; round++) {
    for (const states of stateSets) {
      const partBegan = seconds();
      if (round > 0 && partBegan + (lastTook.get(states.name) ?? 0) > plan.budgetSeconds) {
        onProgress(`round ${round + 1}, ${states.name}: left out, time is up`);
        continue;
      }
      for (const subject of round % 2 === 0 ? subjects : [...subjects].reverse()) {
        onProgress(`round ${round + 1} of ${plan.rounds}, ${states.name}, ${subject.name}`);
        const figures = await measure(subject, { place, states, plan, signal });
        const key = keyOf(states, subject);
        measured.set(key, [...(measured.get(key) ?? []), figures]);
      }
      lastTook.set(states.name, seconds() - partBegan);
    }
  }
  return stateSets.flatMap((states) =>
    subjects.map((subject) => {
      const rounds = measured.get(keyOf(states, subject)) ?? [];
      return { states: states.name, subject: subject.name, rounds, median: medianFigures(rounds) };
    }),
  );
}

async function measure(subject: Subject, run: Run): Promise<Figures> {
  run.signal.throwIfAborted();
  await run.place.clear();
  await delay(REST_MS, undefined, { signal: run.signal });
  return subject.measure(run);
}

function keyOf(states: StateSet, subject: Subject): string {
  return `${states.name}/${subject.name}`;
}

function medianFigures(rounds: readonly Figures[]): Figures {
  const names = Object.keys(rounds[0] ?? {}) as (keyof Figures)[];
  return Object.fromEntries(
    names.map((name) => [name, median(rounds.map((figures) => figures[name] as number))]),
  );
}
