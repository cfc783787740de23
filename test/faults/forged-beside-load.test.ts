import { randomInt } from 'node:crypto';
import { expect, it } from 'vitest';
import { serializeCheckpoint } from '../../src/checkpoint.js';
import { CheckpointRow } from '../../src/writer/checkpoint-row.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';
import { chunkOf, deadLetters, forgeJob } from '../writer/forged-jobs.js';
import { Load } from './load.js';
import { FaultOracle, NOTHING_WRONG } from './oracle.js';

const TIMEOUT_MS = 120_000;
const DAMAGED = 300;

/** A chunk as a producer makes it, with one to three faults of memory or of a disk. */
function damagedChunk(): Buffer {
  const rows = Array.from({ length: 3 }, () => new CheckpointRow(serializeCheckpoint(forgedCheckpoint())));
  let payload = chunkOf('forged', ...rows.map((row) => row.toBuffer()));
  for (let faults = randomInt(1, 4); faults > 0; faults--) {
    const at = randomInt(payload.length);
    const kind = randomInt(8);
    if (kind === 0) payload = payload.subarray(0, at + 1);
    else if (kind === 1)
      payload = Buffer.concat([payload.subarray(0, at), payload.subarray(randomInt(at + 1))]);
    else payload[at] = kind === 2 ? 0 : randomInt(256);
  }
  return payload;
}

function forgedCheckpoint() {
  return newCheckpoint({
    executionId: 'forged',
    metadata: { some: 'metadata' },
    state: { list: [1, 'two', null] },
  });
}

/** Payloads of jobs that wait, are in hand or are put off, as text that can be tried again. */
async function unfinished({ client, keys }: Place, jobIds: readonly string[]): Promise<string[]> {
  const left: string[] = [];
  for (const jobId of jobIds) {
    if ((await client.zscore(keys.failed, jobId)) !== null) continue;
    if ((await client.exists(keys.jobPrefix + jobId)) === 0) continue;
    left.push((await client.getBuffer(keys.payloadPrefix + jobId))?.toString('base64') ?? 'gone');
  }
  return left;
}

it(`${DAMAGED} damaged chunks beside a load: each is refused or written, and all that was saved is there`, {
  timeout: TIMEOUT_MS,
}, async () => {
  const place = await testPlace();
  const store = testStore(place);
  const oracle = new FaultOracle();
  const writer = await startWriter(place);
  const load = Load.start(store, oracle);
  const forged: string[] = [];
  while (forged.length < DAMAGED) {
    const some = Array.from({ length: 10 }, () => forgeJob(place, { payload: damagedChunk() }));
    forged.push(...(await Promise.all(some)));
  }
  await load.more(100);
  const { acknowledged } = await load.stop();
  await store.flush();
  await expect.poll(() => unfinished(place, forged), { timeout: 20_000, interval: 100 }).toEqual([]);
  const verdict = await oracle.verify({ store, executionIds: load.executionIds });
  expect(verdict).toEqual({ acknowledged, ...NOTHING_WRONG });
  expect(writer.stats.records).toBeGreaterThanOrEqual(acknowledged);
  expect(await place.client.zcard(place.keys.failed)).toBeGreaterThan(0);
});

it('names that something on the way could take for its own, among the dead letters beside a load', {
  timeout: TIMEOUT_MS,
}, async () => {
  const names = [
    '__proto__',
    'constructor',
    `'; DROP TABLE checkpoints; --`,
    '\\N',
    '"',
    '%s',
    'a\nb',
    '{tag}*',
    '\u0001',
  ];
  const place = await testPlace();
  const store = testStore(place);
  const oracle = new FaultOracle();
  await store.initSchema();
  await place.pool.query(`ALTER TABLE ${place.schema}.checkpoints ADD CHECK (NOT state ? 'poison')`);
  await startWriter(place);
  const load = Load.start(store, oracle);
  const refused = names.map((name) => {
    const state = JSON.parse('{"poison": true, "__proto__": {"poison": true}}');
    return { id: name, executionId: name, nodeName: name, state, metadata: { [name]: name } };
  });
  const receipts = await store.saveBatch(refused);
  for (const [index, receipt] of receipts.entries()) {
    await expect(receipt.committed()).rejects.toMatchObject({ code: 'DEAD_LETTERED', id: names[index] });
  }
  for (const name of names) {
    const reading = store.latest(name, { consistency: 'latest' });
    await expect(reading).rejects.toMatchObject({ code: 'DEAD_LETTERED', executionId: name });
  }
  expect((await deadLetters(place)).map(({ id }) => id)).toEqual(names);
  await load.more(100);
  const { acknowledged } = await load.stop();
  await store.flush().catch(() => {});
  const verdict = await oracle.verify({ store, executionIds: load.executionIds });
  expect(verdict).toEqual({ acknowledged, ...NOTHING_WRONG });
});
