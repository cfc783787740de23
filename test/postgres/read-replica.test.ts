import { setImmediate } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { CheckpointNotFoundError } from '../../src/errors.js';
import type { PgClient, PgPool } from '../../src/postgres/database.js';
import { type ReadQuery, ReadReplica } from '../../src/postgres/read-replica.js';

/** A replica whose connections answer each statement with the number of the connection, or as told. */
function replicaOf(answer: (text: string) => void = () => {}) {
  const statements: string[] = [];
  let connections = 0;
  const pool: PgPool = {
    connect: async () => {
      const number = ++connections;
      const query = async ({ text }: { text: string }) => {
        statements.push(text);
        answer(text);
        return { rows: [{ connection: String(number) }] };
      };
      return { query, release: () => {}, on: () => {}, off: () => {} } as unknown as PgClient;
    },
    end: async () => {},
  };
  const replica = new ReadReplica(pool);
  onTestFinished(() => replica.close());
  return { replica, statements };
}

/** As PostgreSQL reports it. */
function refusal(code: string): Error {
  return Object.assign(new Error('refused'), { code, severity: 'ERROR' });
}

const AT_PRIMARY = async () => 'at the primary';

it('the statements of one read see one server', async () => {
  const { replica } = replicaOf();
  const twice = async (query: ReadQuery) => [...(await query('first', [])), ...(await query('second', []))];
  expect(await replica.read(twice, async () => [])).toEqual([{ connection: '1' }, { connection: '1' }]);
});

it('a read that breaks off is made whole at the primary', async () => {
  const { replica } = replicaOf((text) => {
    if (text === 'second') throw refusal('40001');
  });
  const twice = async (query: ReadQuery) => {
    await query('first', []);
    await query('second', []);
    return 'at the replica';
  };
  expect(await replica.read(twice, AT_PRIMARY)).toBe('at the primary');
});

it('what the read itself makes of its rows is no fault of the replica', async () => {
  const { replica } = replicaOf();
  const notFound = async () => {
    throw new CheckpointNotFoundError('missing');
  };
  await expect(replica.read(notFound, AT_PRIMARY)).rejects.toBeInstanceOf(CheckpointNotFoundError);
});

it.each([
  ['40001', 'asked again'],
  ['40P01', 'asked again'],
  ['42P01', 'asked again'],
  ['57014', 'asked again'],
  ['57P03', 'left alone'],
  ['08006', 'left alone'],
  ['53300', 'left alone'],
  ['28P01', 'left alone'],
  ['ECONNREFUSED', 'left alone'],
])('after %s the replica is %s for the next read', async (code, then) => {
  const { replica, statements } = replicaOf((text) => {
    if (text === 'failing') throw code.length === 5 ? refusal(code) : Object.assign(new Error(), { code });
  });
  const read = (text: string) => replica.read(async (query) => void (await query(text, [])), AT_PRIMARY);
  expect(await read('failing')).toBe('at the primary');
  await read('next');
  await setImmediate();
  expect(statements).toEqual(then === 'asked again' ? ['failing', 'next'] : ['failing']);
});

it('a replica to which no connection can be made for another reason than PostgreSQL is left alone, too', async () => {
  let tries = 0;
  const connect = async () => {
    tries++;
    throw new Error('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string');
  };
  const replica = new ReadReplica({ connect, end: async () => {} });
  onTestFinished(() => replica.close());
  const read = () => replica.read(async () => 'at the replica', AT_PRIMARY);
  expect([await read(), await read()]).toEqual(['at the primary', 'at the primary']);
  expect(tries).toBe(1);
});
