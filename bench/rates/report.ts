import { aligned, explained, milliseconds, ratio, whole } from '../report.js';
import { type Cell, conditionText } from './cells.js';
import type { CellResult } from './measure.js';
import { ABOUT_METHODS } from './methods.js';
import type { RatesResult } from './run.js';

const HEADINGS = [
  ['', '', 'p50', 'p99', 'p99.9', 'CPU µs a save', '', '', '', '', 'committed', '÷ upsert:', '', '', ''],
  [
    ...['', 'saves/s', 'ms', 'ms', 'ms', 'producer', 'worker', 'Redis', 'PostgreSQL', 'total'],
    ...['after ms', 'CPU', 'PostgreSQL', 'p50', 'p99'],
  ],
];

const COLUMNS = 15;

/** Of a result to that of the upserts under the same condition; undefined where there is none. */
export function ratiosToUpsert(results: readonly CellResult[], result: CellResult) {
  const upsert = results.find(
    (other) => other.method === 'upsert' && conditionText(other) === conditionText(result),
  );
  if (!upsert) return undefined;
  return {
    cpu: result.cpuUs.total / upsert.cpuUs.total,
    postgresCpu: result.cpuUs.postgres / upsert.cpuUs.postgres,
    p50: result.p50Ms / upsert.p50Ms,
    p99: result.p99Ms / upsert.p99Ms,
  };
}

/** A table for each condition's group, absolute figures and ratios side by side. */
export function ratesText({ cells, failures, idleCpuUs }: RatesResult): string {
  const conditions = [...new Set(cells.map(conditionText))];
  const rows = conditions.flatMap((condition) => [
    [condition, ...Array<string>(COLUMNS - 1).fill('')],
    ...cells.filter((cell) => conditionText(cell) === condition).map((cell) => row(cells, cell)),
  ]);
  const failed = failures.map(({ cell, reason }) => `  failed: ${nameOf(cell)}: ${reason}`);
  const { worker, redis, postgres } = idleCpuUs;
  return [
    aligned([...HEADINGS, ...rows]),
    [
      `  Idle, µs of CPU a second with a worker and no saves: worker ${whole(worker)}, Redis ${whole(redis)}, PostgreSQL ${whole(postgres)}`,
      '  Latencies count from when a save was due. * does not keep up with the rate: its latencies grow with the window.',
      '  CPU is that of all processes until every save of the window is committed.',
      ...failed,
    ].join('\n'),
    explained(Object.entries(ABOUT_METHODS)),
  ].join('\n\n');
}

function row(results: readonly CellResult[], cell: CellResult): string[] {
  const { cpuUs, committedAfterMs } = cell;
  const ratios = ratiosToUpsert(results, cell);
  return [
    `  ${cell.method}${cell.failed > 0 ? `, ${cell.failed} failed` : ''}`,
    `${whole(cell.achievedPerSecond)}${cell.keepsUp ? '' : '*'}`,
    ...[cell.p50Ms, cell.p99Ms, cell.p999Ms].map(milliseconds),
    ...[cpuUs.producer, cpuUs.worker, cpuUs.redis, cpuUs.postgres, cpuUs.total].map(whole),
    committedAfterMs === undefined ? 'not in time' : whole(committedAfterMs),
    ...[ratios?.cpu, ratios?.postgresCpu, ratios?.p50, ratios?.p99].map(ratio),
  ];
}

function nameOf(cell: Cell): string {
  return `${conditionText(cell)}, ${cell.method}`;
}
