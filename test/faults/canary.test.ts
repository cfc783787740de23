import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { serializeCheckpoint } from '../../src/checkpoint.js';
import type { CheckpointInput } from '../../src/index.js';
import { CheckpointRow } from '../../src/writer/checkpoint-row.js';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { everythingIn } from '../quiet.js';
import { type Place, testPlace, testStore } from '../store/place.js';
import { chunkOf, deadLetters, failedJobs, forgeJob } from '../writer/forged-jobs.js';
import { execute, ownPostgres, ownRedis } from './services.js';
import { startWorkerProcess } from './worker-process.js';

const CANARY = `canary${randomUUID().replaceAll('-', '')}`;
const USER = 'keeper';

const postgres = ownPostgres();
// Not compressed: what is dumped of it is searched.
const redis = ownRedis({
  args: ['--rdbcompression', 'no', '--user', USER, 'on', `>${CANARY}`, '~*', '&*', '+@all'],
});

const TIMEOUT_MS = 120_000;

/** Each is refused with a text or a detail of PostgreSQL that holds the secret. */
const REFUSALS: ReadonlyArray<[sqlState: string, prepare: string]> = [
  ['23514', `ALTER TABLE checkpoints ADD CONSTRAINT no_23514 CHECK (state->>'kind' <> '23514')`],
  ['23505', `CREATE UNIQUE INDEX ON checkpoints ((state->>'same')) WHERE state->>'kind' = '23505'`],
  ['22P02', `CREATE INDEX ON checkpoints (((state->>'secret')::int)) WHERE state->>'kind' = '22P02'`],
  ['22008', raising('22008')],
  ['P0001', raising('P0001')],
];

/** A trigger for each row that raises an error with the state in its text. */
function raising(sqlState: string): string {
  return `
    CREATE FUNCTION tell_${sqlState}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.state->>'kind' = '${sqlState}' THEN
        RAISE EXCEPTION 'refused %', NEW.state USING ERRCODE = '${sqlState}', DETAIL = NEW.state, HINT = NEW.metadata;
      END IF;
      RETURN NEW; END $$;
    CREATE TRIGGER tell_${sqlState} BEFORE INSERT ON checkpoints FOR EACH ROW EXECUTE FUNCTION tell_${sqlState}()`;
}

/** Refuses every statement, with the states of its rows in the text. */
const REFUSE_ALL = `
  CREATE FUNCTION refuse_all() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'refused %', (SELECT string_agg(state::text, ',') FROM added); END $$;
  CREATE TRIGGER refuse_all AFTER INSERT ON checkpoints REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_all()`;

function secretCheckpoint(kind = 'fine'): CheckpointInput & { executionId: string } {
  return newCheckpoint({
    nodeName: CANARY,
    state: { kind, secret: CANARY, same: CANARY, [CANARY]: [CANARY] },
    metadata: { [CANARY]: CANARY },
  });
}

function asKeeper(text: string): string {
  const url = new URL(text);
  url.username = USER;
  url.password = CANARY;
  return url.toString();
}

/** All keys of Redis and what they hold, without the payloads, of which it is the purpose to hold states. */
async function redisWithoutPayloads({ client }: Place): Promise<{ told: unknown[]; payloads: string }> {
  const told: unknown[] = [];
  let payloads = '';
  for (const key of await client.keys('*')) {
    told.push(key);
    const held = (await client.dumpBuffer(key))?.toString('latin1') ?? '';
    if (key.includes('ckpt-payload-')) payloads += held;
    else told.push(held, (await client.type(key)) === 'hash' ? await client.hgetall(key) : '');
  }
  return { told, payloads };
}

it('a secret in states, metadata, nodes and passwords is told nowhere, through poison, outages and a shutdown', {
  timeout: TIMEOUT_MS,
}, async () => {
  const place = await testPlace({ postgres: postgres().url, redis: redis().url });
  const { schema, pool } = place;
  const run = (sql: string) => execute(postgres().url, `SET search_path = ${schema}; ${sql}`);
  await run(`CREATE ROLE ${USER} LOGIN PASSWORD '${CANARY}'; GRANT ALL ON SCHEMA ${schema} TO ${USER}`);
  const secret = { ...place, postgres: asKeeper(place.postgres), redis: asKeeper(place.redis) };
  const told: unknown[] = [];
  const log = (fields: object, message: string) => void told.push(fields, message);
  const logger = { debug: log, info: log, warn: log, error: log };
  const store = testStore(secret, { enqueueTimeoutMs: 2000, logger });
  await store.initSchema();
  const worker = await startWorkerProcess(secret, { env: { CKPT_SHUTDOWN_DEADLINE_MS: '500' } });
  /** It has to fail, and what it says is kept. */
  const fails = async (work: Promise<unknown>) => {
    const error: unknown = await work.then(
      () => 'it went through',
      (reason) => reason,
    );
    expect(error).toBeInstanceOf(Error);
    told.push(error);
    return error;
  };

  // Poison.
  await store.save(secretCheckpoint('23505'), { ack: 'committed' });
  for (const [sqlState, prepare] of REFUSALS) {
    await run(prepare);
    const checkpoint = secretCheckpoint(sqlState);
    const receipt = await store.save(checkpoint);
    expect(await fails(receipt.committed())).toMatchObject({ sqlState });
    await fails(store.latest(checkpoint.executionId, { consistency: 'latest' }));
  }
  await fails(store.flush());
  const body = new CheckpointRow(serializeCheckpoint(secretCheckpoint())).toBuffer();
  await forgeJob(place, { payload: chunkOf(newExecution(), body.subarray(0, -1)) });
  await expect.poll(async () => (await failedJobs(place)).size).toBe(1);
  told.push(await failedJobs(place), await deadLetters(place));

  // An error that every statement meets, with the states in its text.
  await run(REFUSE_ALL);
  await store.save(secretCheckpoint());
  await worker.logged('somebody has to act');
  await run('DROP TRIGGER refuse_all ON checkpoints');
  await worker.logged('committed after retries');

  // Outages.
  await run(`ALTER ROLE ${USER} PASSWORD 'another'`);
  await pool.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${USER}'`);
  await store.save(secretCheckpoint());
  await fails(store.load('any'));
  await run(`ALTER ROLE ${USER} PASSWORD '${CANARY}'`);
  await store.flush();
  await postgres().kill('SIGKILL');
  await store.save(secretCheckpoint());
  await fails(store.delete('any'));
  await fails(store.save(secretCheckpoint(), { expectedVersion: 0 }));
  await postgres().restart();
  await store.flush();
  await redis().kill('SIGKILL');
  await fails(store.save(secretCheckpoint()));
  await fails(store.clear('any'));
  await redis().restart();
  await expect
    .poll(
      () =>
        store.save(secretCheckpoint()).then(
          () => 'saved',
          () => '',
        ),
      { timeout: 10_000 },
    )
    .toBe('saved');
  await store.flush();

  // A shutdown with a batch in hand that cannot be committed, and records that wait.
  await run('ALTER TABLE checkpoints RENAME COLUMN node_name TO another');
  await store.save(secretCheckpoint());
  await expect
    .poll(() => worker.log.some(({ sqlState }) => sqlState === '42703'), { timeout: TIMEOUT_MS })
    .toBe(true);
  worker.kill('SIGTERM');
  expect(await worker.ended).toEqual({ code: 0, signal: null });
  const inRedis = await redisWithoutPayloads(place);
  await store.close();

  expect(inRedis.payloads).toContain(CANARY);
  expect(everythingIn([told, worker.output, inRedis.told])).not.toContain(CANARY);
});
