import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts the CPU of `/proc/<pid>/stat` in hundredths of a second for programs, whatever its own timer does. */
const US_PER_TICK = 10_000;
const NS_PER_US = 1000;

export interface ProcessStat {
  readonly parent: number;
  /** Microseconds of the process itself, user and system. */
  readonly ownUs: number;
  /** Microseconds of its children that ended and were waited for, and of theirs. */
  readonly endedChildrenUs: number;
}

/** @param text content of `/proc/<pid>/stat`; the name in it may hold blanks and parentheses */
export function parseStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  // From proc(5), where the state, the first field after the name, is number 3.
  const field = (number: number) => Number(fields[number - 3]);
  return {
    parent: field(4),
    ownUs: (field(14) + field(15)) * US_PER_TICK,
    endedChildrenUs: (field(16) + field(17)) * US_PER_TICK,
  };
}

/** Microseconds on a CPU. @param text content of a `schedstat` file */
export function parseSchedstat(text: string): number {
  return Number(text.split(' ')[0]) / NS_PER_US;
}

/**
 * Microseconds of CPU that a process and all its descendants have used so far, including descendants that ended. Live ones
 * are read from `schedstat`, in nanoseconds, where the kernel has it.
 */
export function treeCpuUs(root: number): number {
  const stats = new Map<number, ProcessStat>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    const text = Number.isInteger(pid) ? contentOf(`/proc/${pid}/stat`) : undefined;
    if (text !== undefined) stats.set(pid, parseStat(text));
  }
  if (!stats.has(root)) throw new Error(`process ${root} has ended`);
  const total = (pid: number): number => {
    const { ownUs, endedChildrenUs } = stats.get(pid) as ProcessStat;
    const children = [...stats].filter(([, { parent }]) => parent === pid);
    return children.reduce(
      (sum, [child]) => sum + total(child),
      (threadsCpuUs(pid) ?? ownUs) + endedChildrenUs,
    );
  };
  return total(root);
}

/** The parent of a process. */
export function parentOf(pid: number): number {
  return parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8')).parent;
}

/** Undefined without schedstat. Threads that ended are missing; none of the measured programs ends threads while it works. */
function threadsCpuUs(pid: number): number | undefined {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .map((thread) => parseSchedstat(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8')))
      .reduce((sum, us) => sum + us, 0);
  } catch {
    return undefined;
  }
}

/** Undefined if the process has ended meanwhile. */
function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
