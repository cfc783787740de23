import { describe, expect, it, onTestFinished } from 'vitest';
import { type CheckpointInput, type DeadLetteredError, PostgresCheckpointStore } from '../../src/index.js';
import { deadLetterKeys } from '../../src/redis/queue-keys.js';
import { freePort } from '../../src/services/free-port.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { TcpProxy } from '../faults/tcp-proxy.js';
import { everythingIn, recorder, rejectionOf } from '../quiet.js';
import { type Place, startWriter, testPlace, testStore } from './place.js';

const SECRET = 'secret-of-the-state';
const PASSWORD = 'secret-password';

function secretCheckpoint(fields: Partial<CheckpointInput> = {}): CheckpointInput {
  return newCheckpoint({ state: { [SECRET]: SECRET }, metadata: { [SECRET]: SECRET }, ...fields });
}

function expectQuiet(value: unknown): void {
  const told = everythingIn(value);
  for (const secret of [SECRET, PASSWORD]) expect(told).not.toContain(secret);
}

describe('the errors and log lines of a queue that is not available hold no state', () => {
  async function expectQuietSave(place: Place, redis: string, code = 'QUEUE_UNAVAILABLE'): Promise<void> {
    const { logger, lines } = recorder();
    const store = testStore(place, { redis, enqueueTimeoutMs: 150, logger });
    const error = await rejectionOf(store.save(secretCheckpoint()));
    expect(error).toMatchObject({ code });
    expectQuiet(error);
    expectQuiet(await rejectionOf(store.clear('any')));
    await store.close();
    expectQuiet(lines);
  }

  it('where nobody listens', async () => {
    const redis = `redis://user:${PASSWORD}@127.0.0.1:${await freePort()}`;
    await expectQuietSave(await testPlace(), redis);
  });

  it('where the connection is lost on the way', async () => {
    const place = await testPlace();
    const proxy = await TcpProxy.before(place.redis);
    proxy.stall();
    await expectQuietSave(place, proxy.url);
  });

  it('where Redis answers with an error', async () => {
    const place = await testPlace();
    await place.client.rpush(place.keys.sequence, 'not a number');
    await expectQuietSave(place, place.redis, 'SEQUENCE_OUT_OF_RANGE');
  });
});

describe('the errors and log lines of a database that refuses hold no state', () => {
  /** A table that refuses the secret, by a message that PostgreSQL fills with the row. */
  async function refusingPlace(): Promise<Place> {
    const place = await testPlace();
    const { postgres, schema } = place;
    const store = new PostgresCheckpointStore({ postgres, schema });
    await store.initSchema();
    await store.close();
    await place.pool.query(
      `ALTER TABLE ${schema}.checkpoints ADD CONSTRAINT no_secrets CHECK (NOT state ? '${SECRET}')`,
    );
    return place;
  }

  it('in a direct save', async () => {
    const { postgres, schema } = await refusingPlace();
    const store = new PostgresCheckpointStore({ postgres, schema });
    onTestFinished(() => store.close());
    const error = await rejectionOf(store.save(secretCheckpoint()));
    expect(error).toMatchObject({ code: 'DATABASE', sqlState: '23514' });
    expectQuiet(error);
  });

  it('in an oversize save, which is copied', async () => {
    const place = await refusingPlace();
    const { logger, lines } = recorder();
    const store = testStore(place, { maxQueuedBytes: 1, logger });
    const error = await rejectionOf(store.save(secretCheckpoint()));
    expect(error).toMatchObject({ code: 'DATABASE', sqlState: '23514' });
    expectQuiet([error, lines]);
  });

  it('in a writer, its dead letter and the receipt', async () => {
    const place = await refusingPlace();
    const { logger, lines } = recorder();
    await startWriter(place, { logger });
    const store = testStore(place, { logger });
    const receipt = await store.save(secretCheckpoint());
    const error = await rejectionOf(receipt.committed());
    expect(error).toMatchObject({ name: 'DeadLetteredError', code: 'DEAD_LETTERED' });
    expectQuiet(error);
    const { deadLetterId } = error as DeadLetteredError;
    const letter = await place.client.hgetall(deadLetterKeys(place.keys).jobPrefix + deadLetterId);
    expect(letter).toMatchObject({ data: expect.stringContaining('23514') });
    expectQuiet(letter);
    expect(lines.length).toBeGreaterThan(0);
    expectQuiet(lines);
  });

  it('where it cannot be reached, or refuses the password', async () => {
    const place = await testPlace();
    const elsewhere = `postgresql://user:${PASSWORD}@127.0.0.1:${await freePort()}/db`;
    const wrong = new URL(place.postgres);
    wrong.username = 'nobody';
    wrong.password = PASSWORD;
    for (const postgres of [elsewhere, wrong.toString()]) {
      const store = new PostgresCheckpointStore({ postgres });
      const error = await rejectionOf(store.save(secretCheckpoint()));
      expect(error).toMatchObject({ code: 'DATABASE' });
      expectQuiet(error);
      await store.close();
    }
  });
});

it('what is looked for would be found', () => {
  const careless = Object.assign(new Error('refused'), {
    command: { args: [Buffer.from('-'.repeat(1000) + SECRET)] },
  });
  expect(() => expectQuiet(careless)).toThrow();
  expect(() => expectQuiet(new Error('outer', { cause: new Error(SECRET) }))).toThrow();
  expect(() => expectQuiet([{ row: { [SECRET]: 1 } }])).toThrow();
});

it.each([
  ['raises', "RAISE EXCEPTION 'refused %', NEW.state USING ERRCODE = '42000'", '42000'],
  ['runs into, for it takes the state for SQL,', "EXECUTE 'SELECT ' || (NEW.state #>> '{}')", '42703'],
])(
  'an error that a trigger %s does not carry the state, whatever its code',
  async (_, statement, sqlState) => {
    const place = await testPlace();
    const store = new PostgresCheckpointStore({ postgres: place.postgres, schema: place.schema });
    onTestFinished(() => store.close());
    await store.initSchema();
    await place.pool.query(`
    CREATE FUNCTION ${place.schema}.tell() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN ${statement}; RETURN NEW; END $$;
    CREATE TRIGGER tell BEFORE INSERT ON ${place.schema}.checkpoints
      FOR EACH ROW EXECUTE FUNCTION ${place.schema}.tell()`);
    const error = await rejectionOf(store.save(secretCheckpoint({ state: `"${SECRET}"` })));
    expect(error).toMatchObject({ code: 'DATABASE', sqlState });
    expectQuiet(error);
  },
);
