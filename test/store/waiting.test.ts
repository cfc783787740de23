import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  type Logger,
  PendingWritesTimeoutError,
  type QueuedCheckpointStoreOptions,
} from '../../src/index.js';
import { silentLogger } from '../../src/logger.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { patient } from '../patience.js';
import { type Place, startWriter, testPlace, testStore } from './place.js';

const SHORT_MS = 50;
const NOWHERE = 'postgres://nobody@127.0.0.1:1/none';

async function timeoutOf(wait: Promise<unknown>): Promise<PendingWritesTimeoutError> {
  const error = await wait.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(PendingWritesTimeoutError);
  return error as PendingWritesTimeoutError;
}

/** BullMQ's own mark of a paused queue. */
async function pause({ client, keys }: Place): Promise<void> {
  await client.hset(keys.meta, 'paused', 1);
}

/** A worker that has noticed that it cannot reach PostgreSQL. */
async function startWriterWithoutPostgres(place: Place): Promise<void> {
  const writer = await startWriter(place, { postgres: NOWHERE });
  await vi.waitFor(() => expect(writer.breaker.state).toBe('open'));
  await vi.waitFor(async () => {
    expect(Object.values(await place.client.hgetall(place.keys.workers))[0]).toContain('"breaker":"open"');
  });
}

describe('committed() with a limit', () => {
  it('names the missing worker, and the save is committed when one comes', async () => {
    const place = await testPlace();
    const receipt = await testStore(place).save(newCheckpoint());
    const error = await timeoutOf(receipt.committed({ timeoutMs: SHORT_MS }));
    expect(error).toMatchObject({ reason: 'no-worker', pendingJobs: 1, timeoutMs: SHORT_MS });
    expect(error.message).toMatch(/no worker is registered.*is kept/);
    await startWriter(place);
    expect(await receipt.committed()).toBe('committed');
  });

  it('names a worker without PostgreSQL', async () => {
    const place = await testPlace();
    const receipt = await testStore(place).save(newCheckpoint());
    await startWriterWithoutPostgres(place);
    expect(await timeoutOf(receipt.committed({ timeoutMs: SHORT_MS }))).toMatchObject({
      reason: 'worker-without-postgres',
    });
  });

  it('names a paused queue', async () => {
    const place = await testPlace();
    await pause(place);
    await startWriter(place);
    await vi.waitFor(async () => expect(await place.client.hlen(place.keys.workers)).toBe(1));
    const receipt = await testStore(place).save(newCheckpoint());
    expect(await timeoutOf(receipt.committed({ timeoutMs: SHORT_MS }))).toMatchObject({
      reason: 'queue-paused',
    });
  });

  it('ends with the reason of its signal, before and during the wait', async () => {
    const place = await testPlace();
    const receipt = await testStore(place).save(newCheckpoint());
    const reason = new Error('the caller has changed its mind');
    await expect(receipt.committed({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const waiting = receipt.committed({ signal: controller.signal });
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    await startWriter(place);
    expect(await receipt.committed()).toBe('committed');
  });

  it.each([
    [{ timeoutMs: -1 }, 'timeoutMs'],
    [{ timeoutMs: Number.NaN }, 'timeoutMs'],
    [{ signal: {} }, 'signal'],
    [{ timeout: 5 }, '"timeout"'],
  ])('refuses %j', async (options, field) => {
    const store = testStore(await testPlace());
    const receipt = await store.save(newCheckpoint());
    const refused = { code: 'INVALID_CONFIG', field };
    await expect(receipt.committed(options as never)).rejects.toMatchObject(refused);
    await expect(store.flush(undefined, options as never)).rejects.toMatchObject(refused);
  });
});

describe('flush() with a limit', () => {
  it('names the missing worker; of the store, and of one execution', async () => {
    const store = testStore(await testPlace());
    const checkpoint = newCheckpoint();
    await store.save(checkpoint);
    const limit = { timeoutMs: SHORT_MS };
    expect(await timeoutOf(store.flush(undefined, limit))).toMatchObject({ reason: 'no-worker' });
    expect(await timeoutOf(store.flush(checkpoint.executionId, limit))).toMatchObject({
      reason: 'no-worker',
    });
  });

  it('ends with the reason of its signal', async () => {
    const store = testStore(await testPlace());
    await store.save(newCheckpoint());
    await expect(store.flush(undefined, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
  });
});

describe('a limit', () => {
  it('holds while Redis cannot be reached, and says so', async () => {
    const place = await testPlace();
    const store = testStore(place, { redis: 'redis://127.0.0.1:1' });
    const began = performance.now();
    expect(await timeoutOf(store.flush('some', { timeoutMs: SHORT_MS }))).toMatchObject({ pendingJobs: 0 });
    const reason = new Error('enough');
    await expect(store.flush('some', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    // Reading what is pending alone may take 10 s.
    expect(performance.now() - began).toBeLessThan(patient(3000));
  });

  it('of nothing still tells what is done', async () => {
    const place = await testPlace();
    await startWriter(place);
    const receipt = await testStore(place).save(newCheckpoint(), { ack: 'committed' });
    expect(await receipt.committed({ timeoutMs: 0 })).toBe('committed');
  });
});

describe('saves that nothing drains', () => {
  it('are warned of once, through the logger', async () => {
    const place = await testPlace();
    const warnings: object[] = [];
    const store = testStore(place, { logger: warningsTo(warnings) });
    await store.save(newCheckpoint());
    await vi.waitFor(() => expect(warnings).toHaveLength(1));
    expect(warnings[0]).toMatchObject({ code: 'QUEUE_NOT_DRAINING', reason: 'no-worker' });
    // The next look would come after another five seconds; a second warning could only come from it.
    const looks = vi.spyOn(globalThis, 'setTimeout');
    await store.save(newCheckpoint());
    expect(looks.mock.calls.filter(([, ms]) => ms === 5000)).toEqual([]);
    looks.mockRestore();
  });

  it('are warned of by a warning of the process where there is no logger', async () => {
    const place = await testPlace();
    const warned = new Promise<Error & { code?: string }>((resolve) => {
      const take = (warning: Error & { code?: string }) => {
        if (warning.code === 'QUEUE_NOT_DRAINING') resolve(warning);
      };
      process.on('warning', take);
      onTestFinished(() => void process.off('warning', take));
    });
    await testStore(place).save(newCheckpoint());
    expect(await warned).toMatchObject({
      name: 'CheckpointQueueWarning',
      message: expect.stringContaining('no worker is registered'),
    });
  });

  it('of another table are no reason to warn', async () => {
    const place = await testPlace();
    const [served, other] = [[], []] as [object[], object[]];
    const store = testStore(place, { logger: warningsTo(served) });
    await testStore(place, { table: 'other', logger: warningsTo(other) }).save(newCheckpoint());
    const writer = await startWriter(place);
    await store.save(newCheckpoint(), { ack: 'committed' });
    await writer.close();
    await vi.waitFor(() => expect(other).toHaveLength(1));
    // Its own look came before that of the other one, or comes at the next second.
    await store.save(newCheckpoint());
    expect(served).toEqual([]);
  });

  it('are not warned of while a worker commits them', async () => {
    const place = await testPlace();
    const warnings: object[] = [];
    await startWriter(place);
    const store = testStore(place, { logger: warningsTo(warnings) });
    const until = performance.now() + 7000;
    // Something always waits, as under load.
    while (performance.now() < until) {
      await Promise.all(Array.from({ length: 50 }, () => store.save(newCheckpoint())));
    }
    expect(warnings).toEqual([]);
  });
});

function warningsTo(warnings: object[]): NonNullable<QueuedCheckpointStoreOptions['logger']> {
  const warn: Logger['warn'] = (fields) => {
    if ('code' in fields && fields.code === 'QUEUE_NOT_DRAINING') warnings.push(fields);
  };
  return { ...silentLogger, warn };
}
