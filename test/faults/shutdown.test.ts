import { describe, expect, it } from 'vitest';
import { patient } from '../patience.js';
import { type Place, testPlace, testStore } from '../store/place.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG } from './oracle.js';
import { TcpProxy } from './tcp-proxy.js';
import { startWorkerProcess, type WorkerProcess, type WorkerProcessOptions } from './worker-process.js';

const DEADLINE_MS = 5000;
/** After the deadline: giving jobs back, and closing the pool, for two seconds each at most; and a busy machine. */
const GRACE_MS = 6000;
const TIMEOUT_MS = 120_000;
/** Locks of a dead worker expire, and its jobs are looked for, within this time. */
const COME_BACK = { comeBackMs: 2000 };
const SHUTDOWN = { env: { CKPT_SHUTDOWN_DEADLINE_MS: String(DEADLINE_MS) } };

/** Sends SIGTERM. @returns how long the worker took to end, which it has to do by itself */
async function terminate(worker: WorkerProcess): Promise<number> {
  const began = performance.now();
  worker.kill('SIGTERM');
  expect(await worker.ended).toEqual({ code: 0, signal: null });
  return performance.now() - began;
}

function activeJobs({ client, keys }: Place): Promise<number> {
  return client.llen(`${keys.jobPrefix}active`);
}

/** A load, and a worker behind a proxy that can take its PostgreSQL away. */
async function openBehindProxy(setup: WorkerProcessOptions = {}) {
  const place = await testPlace();
  const store = testStore(place);
  const oracle = new FaultOracle();
  const postgres = await TcpProxy.before(place.postgres);
  const worker = await startWorkerProcess({ ...place, postgres: postgres.url }, { ...setup, ...SHUTDOWN });
  const load = Load.start(store, oracle, { deleteEvery: 0 });
  await load.more(300);
  return { place, store, oracle, load, worker, postgres };
}

describe('SIGTERM under load', () => {
  it('ends a worker before its deadline; another one commits the rest', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const place = await testPlace();
    const store = testStore(place);
    const oracle = new FaultOracle();
    const worker = await startWorkerProcess(place, SHUTDOWN);
    const load = Load.start(store, oracle);
    await load.more(300);
    expect(await terminate(worker)).toBeLessThan(patient(DEADLINE_MS));
    expect(await activeJobs(place)).toBe(0);
    await load.stop();
    await startWorkerProcess(place);
    await store.flush();
    expect(await oracle.verify(place)).toMatchObject(NOTHING_WRONG);
  });

  it('ends a worker at its deadline while PostgreSQL refuses connections, and gives back what it holds', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { place, store, oracle, load, worker, postgres } = await openBehindProxy();
    await postgres.refuse();
    await load.more(300);
    expect(await terminate(worker)).toBeLessThan(patient(DEADLINE_MS + GRACE_MS));
    await load.stop();
    // Given back and not left to its locks: the next worker need not wait until they expire.
    expect(await activeJobs(place)).toBe(0);
    const next = await startWorkerProcess(place);
    await next.outlives(store.flush());
    expect(await oracle.verify(place)).toMatchObject(NOTHING_WRONG);
  });

  it('ends a worker at its deadline while PostgreSQL answers nothing; what it holds comes back', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { place, store, oracle, load, worker, postgres } = await openBehindProxy(COME_BACK);
    postgres.stall();
    await load.more(300);
    expect(await terminate(worker)).toBeLessThan(patient(DEADLINE_MS + GRACE_MS));
    await load.stop();
    const next = await startWorkerProcess(place, COME_BACK);
    await next.outlives(store.flush());
    expect(await oracle.verify(place)).toMatchObject(NOTHING_WRONG);
  });
});
