import { QueuedPostgresSaver } from '../../src/langgraph/index.js';
import type { Figures } from '../figures.js';
import type { Address } from '../place.js';
import type { Run } from '../subject.js';
import { withWorker } from '../workers/with-worker.js';
import type { GraphSubject } from './graph-subject.js';
import { makeCalls, runGraphs } from './measure.js';

export const queuedSaver: GraphSubject = {
  name: 'queued-saver',
  about: 'checkpoint-queue: QueuedPostgresSaver and one worker process, all defaults',
  async measure(run) {
    const calls = await measureCalls(run);
    await run.place.clear();
    return { ...calls, ...(await measureRuns(run)) };
  },
};

function measureCalls(run: Run): Promise<Figures> {
  const { place, signal } = run;
  return withWorker('graph-pipeline', async (worker) => {
    await worker.start(place.address);
    return withSaver(place.address, async (saver) => {
      const calls = await makeCalls(run, saver, (made) => worker.handled(made, signal));
      const { commits, peakRss } = await worker.handled(calls.made, signal);
      await place.expectRows(place.address.schema, 'checkpoints', calls.puts);
      return {
        callsAcknowledged: perSecond(calls.saves, calls.endedAt - calls.beganAt),
        callsCommitted: perSecond(calls.saves, commits.lastAt - calls.beganAt),
        callP50Ms: calls.p50Ms,
        callP99Ms: calls.p99Ms,
        workerRss: peakRss,
      };
    });
  });
}

function measureRuns(run: Run): Promise<Figures> {
  const { address } = run.place;
  return withWorker('graph-pipeline', async (worker) => {
    await worker.start(address);
    return withSaver(address, async (saver) => {
      const { runsMs, settledMs } = await runGraphs(run, saver, () => saver.flush());
      return { runsMs, runsCommittedMs: settledMs };
    });
  });
}

async function withSaver<T>(
  { redisUrl, databaseUrl, schema, queue }: Address,
  use: (saver: QueuedPostgresSaver) => Promise<T>,
): Promise<T> {
  const saver = new QueuedPostgresSaver({ redis: redisUrl, postgres: databaseUrl, schema, queue });
  try {
    await saver.setup();
    return await use(saver);
  } finally {
    await saver.end();
  }
}

function perSecond(count: number, milliseconds: number): number {
  return (count / milliseconds) * 1000;
}
