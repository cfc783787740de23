import { afterCommit, NO_COMMITS } from '../commits.js';
import { startGraphPipelineWorker } from './graph-pipeline.js';
import { startJobPerSaveWorker } from './job-per-save.js';
import { startPipelineWorker } from './pipeline.js';
import type { FromWorker, RunningWorker, StartWorker, ToWorker, WorkerKind } from './protocol.js';

/**
 * Entry of a worker process. It works from `start` to `stop`, tells its progress meanwhile, and ends with the
 * benchmark whatever ends that.
 */
const STARTERS: Record<WorkerKind, StartWorker> = {
  pipeline: startPipelineWorker,
  'graph-pipeline': startGraphPipelineWorker,
  'job-per-save': startJobPerSaveWorker,
};
/** Often enough to wait for, seldom enough to cost nothing; times of commits are exact all the same. */
const REPORT_MS = 20;

let commits = NO_COMMITS;
let peakRss = 0;
let running: RunningWorker | undefined;
let reported = 0;

function report(): void {
  const rss = process.memoryUsage.rss();
  peakRss = Math.max(peakRss, rss);
  if (commits.handled === reported) return;
  reported = commits.handled;
  tell({ type: 'progress', progress: { commits, rss, peakRss } });
}

function tell(message: FromWorker): void {
  // The callback takes the error of a benchmark that is gone; `disconnect` ends us then.
  process.send?.(message, () => {});
}

async function obey(message: ToWorker): Promise<void> {
  if (message.type === 'start') {
    running = await STARTERS[message.kind](
      message.address,
      (records) => {
        commits = afterCommit(commits, records);
      },
      message.settings,
    );
    setInterval(report, REPORT_MS);
    tell({ type: 'started' });
  } else {
    await running?.close();
    process.exit(0);
  }
}

process.on('message', (message: ToWorker) => {
  obey(message).catch((error) => {
    tell({ type: 'failed', reason: error instanceof Error ? error.message : String(error) });
  });
});
process.on('disconnect', () => process.exit(1));
tell({ type: 'loaded' });
