import { sizeName } from '../states.js';
import { METHOD_NAMES, type MethodName } from './methods.js';

/** One measurement: a method, under one load, with PostgreSQL at one distance. */
export interface Cell {
  readonly method: MethodName;
  readonly perSecond: number;
  readonly stateBytes: number;
  readonly producers: number;
  readonly windowMs: number;
  /** Round trip to PostgreSQL through a proxy; undefined: no proxy. */
  readonly roundTripMs?: number;
  /** PostgreSQL does not answer for this long, from a quarter of the window on. */
  readonly stallMs?: number;
}

/** What all methods of a group have in common, for people. */
export function conditionText(cell: Cell): string {
  const rate = `${cell.perSecond.toLocaleString('en-US')}/s`;
  const processes = cell.producers === 1 ? '1 producer' : `${cell.producers} producers`;
  const distance = cell.roundTripMs === undefined ? [] : [distanceText(cell)];
  return [rate, sizeName(cell.stateBytes), processes, ...distance].join(', ');
}

export function distanceText({ roundTripMs = 0, stallMs }: Cell): string {
  return stallMs === undefined ? `${roundTripMs} ms away` : `stalled ${stallMs / 1000} s`;
}

const KB = 1024;
/** 48 cells of about 12 s with their warm-up, start and drain. */
const FULL = { rates: [100, 500, 2000, 10_000], sizes: [KB, 8 * KB], producers: [1, 20], windowMs: 6000 };
const QUICK = { rates: [100, 500, 2000, 10_000], sizes: [KB], producers: [1], windowMs: 2000 };

export function ratesCells(quick: boolean): Cell[] {
  const { rates, sizes, producers, windowMs } = quick ? QUICK : FULL;
  const conditions = sizes.flatMap((stateBytes) =>
    producers.flatMap((count) =>
      rates.map((perSecond) => ({ stateBytes, producers: count, perSecond, windowMs })),
    ),
  );
  return withMethods(conditions);
}

const DISTANCES_MS = { full: [0, 5, 20, 100], quick: [0, 20] };
const DISTANCE_RATE = 500;
const DISTANCE_WINDOW_MS = { full: 10_000, quick: 3000 };
const STALL_MS = { full: 2000, quick: 1000 };

export function distanceCells(quick: boolean): Cell[] {
  const mode = quick ? 'quick' : 'full';
  const load = {
    perSecond: DISTANCE_RATE,
    stateBytes: KB,
    producers: 1,
    windowMs: DISTANCE_WINDOW_MS[mode],
  };
  return withMethods([
    ...DISTANCES_MS[mode].map((roundTripMs) => ({ ...load, roundTripMs })),
    { ...load, roundTripMs: 0, stallMs: STALL_MS[mode] },
  ]);
}

/** The methods one after the other under each condition, so that what else the machine does hits all of them. */
function withMethods(conditions: readonly Omit<Cell, 'method'>[]): Cell[] {
  return conditions.flatMap((condition) => METHOD_NAMES.map((method) => ({ method, ...condition })));
}
