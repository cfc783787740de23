import { type Bar, type BarChart, barChartsSvg } from './bar-chart.js';
import { type Cell, conditionText, distanceText } from './cells.js';
import type { CellResult } from './measure.js';
import { METHOD_NAMES } from './methods.js';

/** CPU and p99 by rate. */
export function ratesSvg(cells: readonly CellResult[]): string {
  return barChartsSvg([
    chart(cells, 'CPU per save, all processes', 'µs', conditionText, ({ cpuUs }) => cpuUs.total),
    chart(cells, 'p99 of a save', 'ms; * does not keep up', conditionText, ({ p99Ms }) => p99Ms),
  ]);
}

/** p99 and the time to the last commit by the distance of PostgreSQL. */
export function distanceSvg(cells: readonly CellResult[]): string {
  return barChartsSvg([
    chart(
      cells,
      'p99 of a save, PostgreSQL at a distance',
      'ms; * does not keep up',
      distanceText,
      ({ p99Ms }) => p99Ms,
    ),
    chart(
      cells,
      'From the end of the saves until all is committed',
      'ms',
      distanceText,
      ({ committedAfterMs }) => committedAfterMs,
    ),
  ]);
}

function chart(
  cells: readonly CellResult[],
  title: string,
  unit: string,
  labelOf: (cell: Cell) => string,
  measured: (result: CellResult) => number | undefined,
): BarChart {
  const labels = [...new Set(cells.map(labelOf))];
  const bar = (label: string, method: string): Bar | undefined => {
    const cell = cells.find((one) => one.method === method && labelOf(one) === label);
    const value = cell && measured(cell);
    return value === undefined ? undefined : { value, mark: cell?.keepsUp ? '' : '*' };
  };
  return {
    title,
    unit,
    series: METHOD_NAMES,
    groups: labels.map((label) => ({ label, values: METHOD_NAMES.map((method) => bar(label, method)) })),
  };
}
