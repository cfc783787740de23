import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Place } from '../place.js';
import { type Cell, distanceCells, ratesCells } from './cells.js';
import { distanceSvg, ratesSvg } from './charts.js';
import { ratesText, ratiosToUpsert } from './report.js';
import { runRates } from './run.js';
import { withRatesServers } from './servers.js';

export const RATES_BENCHES = ['rates', 'distance'] as const;
export type RatesBench = (typeof RATES_BENCHES)[number];

export interface RatesOptions {
  readonly quick: boolean;
  /** Writes the charts into docs/. */
  readonly chart: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (message: string) => void;
}

const IDLE_MS = { full: 5000, quick: 2000 };
const BENCHES: Record<
  RatesBench,
  { cells: (quick: boolean) => Cell[]; svg: typeof ratesSvg; title: string }
> = {
  rates: { cells: ratesCells, svg: ratesSvg, title: 'Saves at fixed rates' },
  distance: { cells: distanceCells, svg: distanceSvg, title: 'Saves with PostgreSQL at a distance' },
};

/** Measures on servers of its own. @returns the text for people, and the figures for the file */
export function benchRates(name: RatesBench, options: RatesOptions) {
  const { quick, chart, signal, onProgress } = options;
  const { cells, svg, title } = BENCHES[name];
  return withRatesServers({ onProgress, signal }, async (servers) => {
    onProgress(`${servers.postgres}`);
    const place = new Place(servers);
    try {
      const idleMs = IDLE_MS[quick ? 'quick' : 'full'];
      const result = await runRates({ servers, place, cells: cells(quick), idleMs, signal, onProgress });
      if (chart) {
        const file = fileURLToPath(new URL(`../../docs/${name}.svg`, import.meta.url));
        await writeFile(file, svg(result.cells));
        onProgress(`chart is in docs/${name}.svg`);
      }
      return {
        text: `${title}, ${servers.postgres}\n\n${ratesText(result)}`,
        postgres: servers.postgres,
        versions: await place.serverVersions(),
        result: {
          ...result,
          cells: result.cells.map((cell) => ({ ...cell, toUpsert: ratiosToUpsert(result.cells, cell) })),
        },
      };
    } finally {
      await place.remove();
    }
  });
}
