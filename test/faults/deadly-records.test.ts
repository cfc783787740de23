import { expect, it, vi } from 'vitest';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { testPlace, testStore } from '../store/place.js';
import { deadLetters } from '../writer/forged-jobs.js';
import { spawnWorkerProcess } from './worker-process.js';

const TIMEOUT_MS = 120_000;

it('a record that kills every worker which writes it becomes a dead letter, and all others are committed', {
  timeout: TIMEOUT_MS,
}, async () => {
  const place = await testPlace();
  const store = testStore(place);
  await store.initSchema();
  const executionId = newExecution();
  const good = Array.from({ length: 5 }, () => newCheckpoint({ executionId }));
  const deadly = newCheckpoint({ executionId, id: `deadly ${executionId}` });
  const receipts = await store.saveBatch([...good.slice(0, 3), deadly, ...good.slice(3)]);
  // Bystanders: jobs of their own, in the hands of the same workers.
  const bystanders = await testStore(place, { maxChunkRecords: 1 }).saveBatch(
    Array.from({ length: 3 }, () => newCheckpoint()),
  );

  let deaths = 0;
  const outcomes = Promise.allSettled([...receipts, ...bystanders].map((receipt) => receipt.committed()));
  const finished = new AbortController();
  void outcomes.then(() => finished.abort());
  while (!finished.signal.aborted) {
    const worker = spawnWorkerProcess(place, { deadlyPrefix: 'deadly', comeBackMs: 1500 });
    await Promise.race([worker.ended, outcomes]);
    if (!finished.signal.aborted) deaths++;
  }

  const settled = (await outcomes).map((result) =>
    result.status === 'fulfilled' ? result.value : result.reason.reason,
  );
  const told = (id: string) => (id === deadly.id ? 'crashes the writer' : 'committed');
  expect(settled).toEqual([...receipts, ...bystanders].map(({ id }) => told(id)));
  expect(await deadLetters(place)).toMatchObject([
    { id: deadly.id, reason: 'crashes the writer', sqlState: null },
  ]);
  // As a bystander, alone with its chunk, and alone.
  expect(deaths).toBe(3 + 2 + 3);
  await vi.waitFor(async () => expect(await place.client.keys(`${place.keys.deathsPrefix}*`)).toEqual([]));
});
