import { compileBench } from '../backlog/compiled.js';
import type { Place } from '../place.js';
import { type Cell, conditionText } from './cells.js';
import { type Bench, type CellResult, measureCell, measureIdle } from './measure.js';
import { createTables } from './methods.js';
import type { RatesServers } from './servers.js';

export interface RatesRun {
  readonly servers: RatesServers;
  readonly place: Place;
  readonly cells: readonly Cell[];
  readonly idleMs: number;
  readonly signal: AbortSignal;
  readonly onProgress: (message: string) => void;
}

export interface RatesResult {
  readonly cells: readonly CellResult[];
  /** Of a cell that could not be measured, why. */
  readonly failures: readonly { cell: Cell; reason: string }[];
  /** Microseconds of CPU a second with a worker and no saves. */
  readonly idleCpuUs: { readonly worker: number; readonly redis: number; readonly postgres: number };
}

/** Measures the cells one after the other. One that fails does not end the others. */
export async function runRates(run: RatesRun): Promise<RatesResult> {
  const { servers, place, cells, idleMs, signal, onProgress } = run;
  onProgress('compiling what the processes run');
  const bench: Bench = { compiled: await compileBench(signal), servers, place, signal };
  await createTables({ ...place.address, saverSchema: place.saverSchema });
  onProgress('idle worker');
  const idleCpuUs = await measureIdle(bench, idleMs);
  const results: CellResult[] = [];
  const failures: { cell: Cell; reason: string }[] = [];
  for (const [index, cell] of cells.entries()) {
    const name = `${index + 1}/${cells.length}  ${conditionText(cell)}: ${cell.method}`;
    try {
      const result = await measureCell(bench, cell);
      results.push(result);
      const { p50Ms, p99Ms, cpuUs, keepsUp } = result;
      const pace = keepsUp ? '' : ', does not keep up';
      onProgress(
        `${name}: p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, ${Math.round(cpuUs.total)} µs a save${pace}`,
      );
    } catch (error) {
      signal.throwIfAborted();
      const reason = error instanceof Error ? error.message : String(error);
      failures.push({ cell, reason });
      onProgress(`${name}: failed, ${reason}`);
    }
  }
  return { cells: results, failures, idleCpuUs };
}
