import { execFile } from 'node:child_process';
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os';
import { promisify } from 'node:util';

/** A load of so much of the cores, before the run, spoils it. */
const BUSY_SHARE = 0.25;

/** What a figure depends on besides the code. */
export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  /** Average of the last minute before the run: what else this machine was doing. */
  readonly loadBefore: number;
}

export function machineFacts(): Machine {
  const processors = cpus();
  return {
    cores: processors.length,
    cpu: processors[0]?.model.trim() ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.version,
    loadBefore: loadavg()[0] ?? 0,
  };
}

/** Undefined if the machine was idle enough for figures to mean something. */
export function busyWarning({ loadBefore, cores }: Machine): string | undefined {
  if (loadBefore < BUSY_SHARE * cores) return undefined;
  return `this machine was busy in the last minute (load ${loadBefore.toFixed(1)}, ${cores} cores): figures may be far off`;
}

/** The commit that is checked out, `+` behind it if files differ from it; undefined outside a checkout. */
export async function gitCommit(): Promise<string | undefined> {
  const git = async (...args: string[]) => (await promisify(execFile)('git', args)).stdout.trim();
  try {
    const [commit, changes] = await Promise.all([
      git('rev-parse', '--short=12', 'HEAD'),
      git('status', '--porcelain', '--untracked-files=no'),
    ]);
    return changes === '' ? commit : `${commit}+`;
  } catch {
    return undefined;
  }
}
