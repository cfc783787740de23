import type { FaultFigures } from './fault-figures.js';
import type { FaultRecord } from './fault-stream.js';
import type { MemoryTrend } from './memory.js';
import { type Findings, PROMISES, type PromiseName } from './promises.js';
import type { Checked } from './verification.js';

export interface ChaosReport extends Checked {
  readonly seed: number;
  readonly minutes: number;
  readonly startedAt: string;
  /** Of the faults, without draining and checks. */
  readonly seconds: number;
  readonly interrupted: boolean;
  /** Names of promises; empty if all are kept. */
  readonly broken: readonly PromiseName[];
  readonly findings: Findings;
  readonly acknowledged: number;
  readonly calls: Record<string, number>;
  /** By call and code. */
  readonly errors: Record<string, number>;
  readonly slowestSaveMs: number;
  readonly deepestQueue: number;
  readonly kills: Record<string, number>;
  readonly workersStarted: Record<string, number>;
  readonly faults: { all: FaultFigures; byKind: Record<string, FaultFigures> };
  readonly memory: Record<string, MemoryTrend | undefined>;
  readonly attributeBytes: { before: number; after: number };
  readonly log: readonly FaultRecord[];
}

const EXAMPLES = 5;
const MIB = 2 ** 20;

/** For the terminal. */
export function summaryOf(report: ChaosReport): string {
  const { faults, deadLetters, leftovers, attributeBytes } = report;
  const { before, swept } = leftovers;
  return [
    '',
    `${report.interrupted ? 'interrupted; ' : ''}seed ${report.seed}, ${report.seconds} s of faults`,
    `acknowledged  ${report.acknowledged} saves; ${report.rows} rows; slowest save ${Math.round(report.slowestSaveMs)} ms; deepest queue ${report.deepestQueue} jobs`,
    `calls         ${listOf(report.calls)}`,
    `errors        ${listOf(report.errors) || 'none'}`,
    `dead letters  ${deadLetters.expected} expected, ${deadLetters.found} found (those of saves that were not acknowledged included), ${deadLetters.replayed} replayed`,
    `in Redis      ${before.payloads} payloads, ${before.chunks} chunks, ${before.marks} marks without a job; ${swept} swept`,
    `pg_attribute  ${bytes(attributeBytes.before)}, then ${bytes(attributeBytes.after)}`,
    ...Object.entries(report.memory).map(([name, trend]) => `memory        ${name} ${trendText(trend)}`),
    `kills         ${listOf(report.kills)}`,
    '',
    'faults: until commits went on, and until the backlog was committed (ms)',
    row('', 'made', 'p50', 'p99', 'max', 'alone', 'p50', 'p99'),
    ...Object.entries({ all: faults.all, ...faults.byKind }).map(([kind, figures]) =>
      figuresRow(kind, figures),
    ),
    '',
    ...findingsText(report.findings),
    report.broken.length === 0 ? 'every promise is kept' : `BROKEN: ${report.broken.join(', ')}`,
  ].join('\n');
}

function figuresRow(kind: string, { made, commitMs, backlogMs, commitAloneMs }: FaultFigures): string {
  return row(
    ...[kind, made, commitMs.p50, commitMs.p99, commitMs.max, commitAloneMs.p99],
    ...[backlogMs.p50, backlogMs.p99],
  );
}

function row(kind: string | number | null, ...cells: (string | number | null)[]): string {
  return `  ${String(kind).padEnd(28)}${cells.map((cell) => String(cell ?? '-').padStart(8)).join('')}`;
}

function findingsText(findings: Findings): string[] {
  return (Object.keys(findings) as PromiseName[]).flatMap((name) => {
    const found = findings[name];
    if (found.length === 0) return [];
    const more = found.length > EXAMPLES ? [`    and ${found.length - EXAMPLES} more`] : [];
    return [
      `  ${name} (${PROMISES[name]}): ${found.length}`,
      ...found.slice(0, EXAMPLES).map((line) => `    ${line}`),
      ...more,
    ];
  });
}

function trendText(trend: MemoryTrend | undefined): string {
  if (!trend) return 'not measured';
  const { firstBytes, lastBytes, highestBytes, bytesPerMinute } = trend;
  const slope =
    bytesPerMinute === null ? 'too short for a slope' : `${(bytesPerMinute / MIB).toFixed(2)} MiB a minute`;
  return `${bytes(firstBytes)} to ${bytes(lastBytes)}, at most ${bytes(highestBytes)}; ${slope}`;
}

const bytes = (count: number): string => `${(count / MIB).toFixed(1)} MiB`;

function listOf(counts: Record<string, number>): string {
  return Object.entries(counts)
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}
