import { describe, expect, it, vi } from 'vitest';
import type { BreakerState, CheckpointWriter } from '../../src/index.js';
import { CircuitBreaker } from '../../src/writer/circuit-breaker.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { startWriter, testPlace, testStore } from '../store/place.js';

describe('a circuit breaker', () => {
  it.each([
    [{ failure: 'transient' }],
    [{ failure: 'transient', sqlState: '57P03' }],
    [{ failure: 'environment', sqlState: '53100' }],
    [{ failure: 'unknown', sqlState: 'XX000' }],
  ] as const)('opens at once at %j and closes at the first success, telling each change once', (failure) => {
    const changes = vi.fn<(state: BreakerState) => void>();
    const breaker = new CircuitBreaker(changes);
    for (const _ of [1, 2, 3]) breaker.failed(failure);
    expect(breaker.state).toMatchObject({ state: 'open', ...failure });
    breaker.succeeded();
    breaker.succeeded();
    expect(breaker.state).toMatchObject({ state: 'closed' });
    expect(changes.mock.calls.map(([{ state }]) => state)).toEqual(['open', 'closed']);
  });

  it('stays closed at a deadlock or two, and opens where nothing else comes', () => {
    const breaker = new CircuitBreaker(() => {});
    const deadlock = { failure: 'transient', sqlState: '40P01' } as const;
    for (let round = 0; round < 10; round++) {
      for (const _ of [1, 2, 3, 4]) breaker.failed(deadlock);
      expect(breaker.state.state).toBe('closed');
      breaker.succeeded();
    }
    for (const _ of [1, 2, 3, 4, 5]) breaker.failed(deadlock);
    expect(breaker.state.state).toBe('open');
  });
});

function changesTo(writer: CheckpointWriter, wanted: BreakerState['state']): Promise<BreakerState> {
  return new Promise((resolve) => {
    writer.on('breaker', (state) => {
      if (state.state === wanted) resolve(state);
    });
  });
}

describe('a writer whose PostgreSQL is unavailable', () => {
  it('takes no new jobs, and goes on with all of them when it is back; none has used up an attempt', async () => {
    const place = await testPlace();
    const store = testStore(place, { maxChunkRecords: 1 });
    await store.initSchema();
    const role = `${place.schema}_writer`;
    await place.pool.query(`CREATE ROLE ${role} LOGIN PASSWORD 'right'`);
    await place.pool.query(`GRANT ALL ON SCHEMA ${place.schema} TO ${role}`);
    await place.pool.query(`GRANT ALL ON ALL TABLES IN SCHEMA ${place.schema} TO ${role}`);
    try {
      const url = new URL(place.postgres);
      url.username = role;
      url.password = 'right';
      const writer = await startWriter(place, { postgres: url.toString(), concurrency: 4 });
      await place.pool.query(`REVOKE ALL ON ALL TABLES IN SCHEMA ${place.schema} FROM ${role}`);
      const opened = changesTo(writer, 'open');
      await store.save(newCheckpoint());
      expect(await opened).toMatchObject({ failure: 'environment', sqlState: '42501' });
      expect(writer.breaker.state).toBe('open');

      const saved = await store.saveBatch(Array.from({ length: 20 }, () => newCheckpoint()));
      const taken = await place.client.llen(`${place.keys.jobPrefix}active`);
      expect(taken).toBeLessThan(4);
      expect(await place.client.llen(place.keys.waiting)).toBeGreaterThanOrEqual(20 - 2);

      const closed = changesTo(writer, 'closed');
      await place.pool.query(`GRANT ALL ON ALL TABLES IN SCHEMA ${place.schema} TO ${role}`);
      await closed;
      const outcomes = await Promise.all(saved.map((receipt) => receipt.committed()));
      expect(outcomes).toEqual(saved.map(() => 'committed'));
      await writer.close();
    } finally {
      await place.pool.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  it('closes in time while it takes no jobs, and gives back what it has', async () => {
    const place = await testPlace();
    const store = testStore(place);
    await store.initSchema();
    const writer = await startWriter(place, { postgres: 'postgresql://nobody@127.0.0.1:1/none' });
    const opened = changesTo(writer, 'open');
    await store.save(newCheckpoint());
    await opened;
    await writer.close({ deadlineMs: 100 });
    expect(await place.client.llen(place.keys.waiting)).toBe(1);
    await startWriter(place);
    await store.flush();
  });
});
