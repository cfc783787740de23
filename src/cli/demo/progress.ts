import cliProgress from 'cli-progress';
import { note } from '../command.js';

/** How far the demonstration is. */
export interface DemoProgress {
  update(acknowledged: number, written: number): void;
  verifying(executions: number): void;
  verified(): void;
  stop(): void;
}

const LINE_INTERVAL_MS = 1000;

/** Bars on a terminal, a line a second elsewhere, nothing if quiet. All on standard error. */
export function demoProgress(saves: number, quiet: boolean): DemoProgress {
  if (quiet) return { update() {}, verifying() {}, verified() {}, stop() {} };
  return process.stderr.isTTY ? progressBars(saves) : progressLines(saves);
}

function progressBars(saves: number): DemoProgress {
  const bars = new cliProgress.MultiBar(
    { format: '{name} {bar} {value}/{total} {detail}', stream: process.stderr, hideCursor: true, fps: 10 },
    cliProgress.Presets.shades_classic,
  );
  const acknowledgedBar = bars.create(saves, 0, { name: 'acknowledged', detail: '' });
  const committedBar = bars.create(saves, 0, { name: 'committed   ', detail: '' });
  let verifiedBar: cliProgress.SingleBar | undefined;
  return {
    update: (acknowledged, written) => {
      acknowledgedBar.update(acknowledged);
      committedBar.update(written, { detail: `lag ${Math.max(0, acknowledged - written)}` });
    },
    verifying: (executions) => {
      verifiedBar = bars.create(executions, 0, { name: 'verified    ', detail: 'executions' });
    },
    verified: () => verifiedBar?.increment(),
    stop: () => bars.stop(),
  };
}

function progressLines(saves: number): DemoProgress {
  let silentUntil = 0;
  const say = (line: string) => {
    if (performance.now() < silentUntil) return;
    silentUntil = performance.now() + LINE_INTERVAL_MS;
    note(line);
  };
  return {
    update: (acknowledged, written) =>
      say(
        `acknowledged ${acknowledged}/${saves}, committed ${written}, lag ${Math.max(0, acknowledged - written)}`,
      ),
    verifying: (executions) => note(`reading ${executions} executions back`),
    verified: () => {},
    stop: () => {},
  };
}
