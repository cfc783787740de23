import type { Contender } from './contenders/contender.js';
import type { Figures } from './figures.js';
import { SAVERS, SAVES_IN_FLIGHT } from './plan.js';
import type { Result } from './rounds.js';
import type { FigureLine, Scenario } from './scenarios/scenario.js';
import { lookup, type TargetReport, withUnit } from './targets.js';

/** The ratios of one result, absent where one of both figures is. */
export interface Ratios {
  /** Sustained saves to those of the upserts. */
  awaitedToUpserts?: number;
  unawaitedToUpserts?: number;
  drainToCeiling?: number;
}

export function ratiosOf(results: readonly Result[], { states, median }: Result): Ratios {
  const of = lookup(results, states);
  return defined({
    awaitedToUpserts: (median.awaited ?? Number.NaN) / of('upserts', 'awaited'),
    unawaitedToUpserts: (median.unawaited ?? Number.NaN) / of('upserts', 'awaited'),
    drainToCeiling: (median.drain ?? Number.NaN) / of('ceiling', 'drain'),
  });
}

function defined(ratios: Required<Ratios>): Ratios {
  return Object.fromEntries(Object.entries(ratios).filter(([, ratio]) => !Number.isNaN(ratio)));
}

const HEADINGS = [
  ['', ''],
  [`${SAVERS} savers,`, 'saves/s'],
  ['', '÷ upserts'],
  ['p50', 'ms'],
  ['p99', 'ms'],
  [`${SAVES_IN_FLIGHT} in flight,`, 'saves/s'],
  ['', '÷ upserts'],
  ['drain,', 'saves/s'],
  ['', '÷ ceiling'],
  ['worker', 'RSS MB'],
];

/** A table for each kind of states. */
export function tableText(results: readonly Result[], contenders: readonly Contender[]): string {
  const kinds = [...new Set(results.map(({ states }) => states))];
  const tables = kinds.map((kind) => {
    const rows = results
      .filter(({ states, rounds }) => states === kind && rounds.length > 0)
      .map((result) => [result.subject, ...cells(result.median, ratiosOf(results, result))]);
    return `${kind}, ${roundsText(results, kind)}\n${aligned([...headingLines(), ...rows])}`;
  });
  return [...tables, `${legend(contenders)}`].join('\n\n');
}

export function roundsText(results: readonly Result[], kind: string): string {
  const rounds = Math.max(
    ...results.filter(({ states }) => states === kind).map((result) => result.rounds.length),
  );
  return rounds === 1 ? 'a single round' : `medians of ${rounds} rounds`;
}

function headingLines(): string[][] {
  return [0, 1].map((line) => HEADINGS.map((heading) => heading[line] as string));
}

function cells(median: Figures, ratios: Ratios): string[] {
  return [
    whole(median.awaited),
    ratio(ratios.awaitedToUpserts),
    milliseconds(median.p50Ms),
    milliseconds(median.p99Ms),
    whole(median.unawaited),
    ratio(ratios.unawaitedToUpserts),
    whole(median.drain),
    ratio(ratios.drainToCeiling),
    whole(median.workerRss && median.workerRss / 2 ** 20),
  ];
}

function legend(contenders: readonly Contender[]): string {
  const columns = [
    [
      `${SAVERS} savers`,
      `each awaits its save; committed saves/s until the last is committed; p50, p99: of save()`,
    ],
    [`${SAVES_IN_FLIGHT} in flight`, 'nobody waits for his own save; committed saves/s as before'],
    ['drain', 'from the first commit of a worker that finds a full queue, to the last'],
  ];
  return explained([...contenders.map(({ name, about }) => [name, about]), ...columns]);
}

/** All figures of the scenarios, one a line. */
export function scenariosText(results: readonly Result[], scenarios: readonly Scenario[]): string {
  const lines = scenarios.flatMap(({ name, lines }) =>
    results
      .filter(({ subject }) => subject === name)
      .flatMap(({ states, median }) =>
        lines.map((line) => [`${name}, ${states}: ${line.label}`, valueText(median[line.figure], line.unit)]),
      ),
  );
  const about = explained(scenarios.map(({ name, about }) => [name, about]));
  return `Scenarios of the pipeline\n${aligned(lines)}\n\n${about}`;
}

function valueText(value: number | undefined, unit: FigureLine['unit']): string {
  if (unit === 'ratio') return ratio(value);
  return `${unit === 'ms' ? milliseconds(value) : whole(value)} ${unit}`;
}

export function explained(texts: readonly (readonly string[])[]): string {
  return texts.map(([name, text]) => `  ${name?.padEnd(16)}${text}`).join('\n');
}

export function targetsText(targets: readonly TargetReport[]): string {
  if (targets.length === 0) return 'Targets: their figures were not measured.';
  const lines = targets.map(({ states, figure, target, measured, unit, met, missedBy }) => [
    `${states}, ${figure}`,
    target,
    withUnit(measured.toFixed(2), unit),
    met ? 'met' : `missed by ${Math.max(1, Math.round(missedBy * 100))} %`,
  ]);
  return `Targets\n${aligned(lines)}`;
}

/** The first column to the left, the others to the right. */
export function aligned(rows: readonly string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number),
        )
        .join('  '),
    )
    .map((line) => `  ${line.trimEnd()}`)
    .join('\n');
}

export function whole(value: number | undefined): string {
  return value === undefined ? '' : Math.round(value).toLocaleString('en-US');
}

export function ratio(value: number | undefined): string {
  return value === undefined ? '' : value.toFixed(2);
}

export function milliseconds(value: number | undefined): string {
  return value === undefined ? '' : value.toFixed(value < 10 ? 2 : 1);
}
