import { readFile } from 'node:fs/promises';
import { run } from '../../src/services/run.js';

export interface MemorySample {
  /** Milliseconds since the faults began. */
  readonly at: number;
  readonly bytes: number;
}

/** How the memory of a process went. */
export interface MemoryTrend {
  readonly samples: number;
  readonly firstBytes: number;
  readonly lastBytes: number;
  readonly highestBytes: number;
  /** Of the line through all samples but the first third, in which a process is still growing up; null: too few of them. */
  readonly bytesPerMinute: number | null;
}

const MIN_SAMPLES = 10;

/** Resident memory of a process; undefined if there is none of this id. */
export async function residentBytes(pid: number): Promise<number | undefined> {
  try {
    const kilobytes =
      process.platform === 'linux'
        ? /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]
        : (await run('ps', ['-o', 'rss=', '-p', String(pid)])).stdout.trim();
    return kilobytes ? Number(kilobytes) * 1024 : undefined;
  } catch {
    return undefined;
  }
}

export function memoryTrend(samples: readonly MemorySample[]): MemoryTrend | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last) return undefined;
  const grown = samples.slice(Math.floor(samples.length / 3));
  return {
    samples: samples.length,
    firstBytes: first.bytes,
    lastBytes: last.bytes,
    highestBytes: samples.reduce((highest, { bytes }) => Math.max(highest, bytes), 0),
    bytesPerMinute: grown.length < MIN_SAMPLES ? null : Math.round(slope(grown) * 60_000),
  };
}

/** Of the least squares, in bytes per millisecond. */
function slope(samples: readonly MemorySample[]): number {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const meanAt = mean(samples.map(({ at }) => at));
  const meanBytes = mean(samples.map(({ bytes }) => bytes));
  let covariance = 0;
  let variance = 0;
  for (const { at, bytes } of samples) {
    covariance += (at - meanAt) * (bytes - meanBytes);
    variance += (at - meanAt) ** 2;
  }
  return variance === 0 ? 0 : covariance / variance;
}
