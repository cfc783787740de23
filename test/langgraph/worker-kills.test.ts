import { EventEmitter, once } from 'node:events';
import { MemorySaver } from '@langchain/langgraph-checkpoint';
import { expect, it } from 'vitest';
import { spawnWorkerProcess, type WorkerProcess } from '../faults/worker-process.js';
import { testPlace } from '../store/place.js';
import { deadLetters } from '../writer/forged-jobs.js';
import { GraphAgent } from './graph-agent.js';
import { graphWorkerEnv, testSaver } from './place.js';
import { comparable, historyOf, onThread, run } from './scenarios.js';

const THREADS = 20;
const TURNS = 10;
const RUNS = THREADS * TURNS;
/** After so many runs a worker is killed. */
const KILLS = [5, 40, 80, 120, 160];
/** Locks of a dead worker expire, and its jobs are looked for, within this time. */
const COME_BACK_MS = 1500;
const TIMEOUT_MS = 120_000;

it('kill -9 of workers five times during 200 runs of graphs: every thread has its state and its whole history', {
  timeout: TIMEOUT_MS,
}, async () => {
  const place = await testPlace();
  const saver = testSaver(place, { readTimeoutMs: TIMEOUT_MS });
  const agent = new GraphAgent('agent', saver);
  const spawn = () => spawnWorkerProcess(place, { comeBackMs: COME_BACK_MS, env: graphWorkerEnv(place) });
  const workers = [spawn(), spawn()];
  const news = new EventEmitter();
  let runs = 0;
  const threads = Array.from({ length: THREADS }, async (_, thread) => {
    for (let turn = 1; turn <= TURNS; turn++) {
      await run(agent, 'talk', { turn, log: [`turn ${turn}`] }, onThread(`thread ${thread}`));
      runs++;
      news.emit('run');
    }
  });
  const running = Promise.all(threads);
  for (const kill of KILLS) {
    const worker = workers.shift() as WorkerProcess;
    await worker.ready;
    while (runs < kill) await Promise.race([once(news, 'run'), running]);
    worker.kill('SIGKILL');
    expect(await worker.ended).toEqual({ code: null, signal: 'SIGKILL' });
    workers.push(spawn());
  }
  expect(runs).toBeLessThan(RUNS);
  await running;

  const memory = new GraphAgent('agent', new MemorySaver());
  for (let turn = 1; turn <= TURNS; turn++) {
    await run(memory, 'talk', { turn, log: [`turn ${turn}`] }, onThread('thread'));
  }
  const expected = comparable(await historyOf(memory, 'talk', onThread('thread')));
  for (let thread = 0; thread < THREADS; thread++) {
    const threadId = `thread ${thread}`;
    const history = await historyOf(agent, 'talk', onThread(threadId));
    const told = JSON.stringify(comparable(history)).replaceAll(`"${threadId}"`, '"thread"');
    expect(JSON.parse(told)).toEqual(expected);
  }
  expect(await deadLetters(place)).toEqual([]);
  expect(await place.client.zcard(place.keys.failed)).toBe(0);
});
