import { afterAll, beforeAll, expect, it } from 'vitest';
import { REPLICA_CHECK } from '../../src/doctor/replica-check.js';
import type { Database, TextRow } from '../../src/postgres/database.js';
import { freePort } from '../../src/services/free-port.js';
import { Replication } from '../faults/postgres-standby.js';
import { services } from '../services.js';
import { diagnosis } from './diagnosis.js';

let replication: Replication;
beforeAll(async () => {
  replication = await Replication.start();
});
afterAll(() => replication.stop());

const finding = async (readPostgres: string | undefined) => {
  const place = { redis: services().redisUrl, postgres: replication.primary.url };
  return (await diagnosis(place, { readPostgres }))['postgres.replica'];
};

it('the doctor is content with a replica that follows, and says nothing where there is none', async () => {
  await replication.caughtUp();
  expect(await finding(replication.standby.url)).toMatchObject({ severity: 'ok' });
  expect(await finding(replication.primary.url)).toMatchObject({
    severity: 'ok',
    seen: expect.stringContaining('no standby'),
  });
  expect(await finding(undefined)).toBeUndefined();
});

it('the doctor finds a replica that cannot be reached', async () => {
  expect(await finding(`postgresql://127.0.0.1:${await freePort()}/db`)).toMatchObject({
    severity: 'warning',
    seen: expect.stringContaining('ECONNREFUSED'),
    todo: expect.stringContaining('CKPT_READ_DATABASE_URL'),
  });
});

it.each([
  [61, 'warning', '2.0 MiB of log behind, what it shows is of 61 s ago'],
  [59, 'ok', '2.0 MiB of log behind, what it shows is of 59 s ago'],
])('a replica that is behind by %d s is a %s', async (seconds, severity, seen) => {
  const bytes = String(2 * 1024 * 1024);
  const replica = answering({ standby: 't', bytes, seconds: String(seconds) });
  expect(await REPLICA_CHECK.look({ primary: answering({ lsn: '0/0' }), replica })).toMatchObject({
    severity,
    seen,
  });
});

function answering(row: TextRow): Database {
  return { query: async () => [row] } as unknown as Database;
}
