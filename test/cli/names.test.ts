import { randomUUID } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { quoted } from '../../src/postgres/identifiers.js';
import { openPlace } from '../store/place.js';
import { logged, runCli, startCli } from './cli.js';

test('CKPT_SCHEMA and CKPT_TABLE may be any names that PostgreSQL takes in quotes', async () => {
  const place = await openPlace();
  const schema = ` T.1 "größe" ${randomUUID()}`;
  const table = `my-app's "1st" $$`;
  const env = {
    CKPT_QUEUE: place.queue,
    CKPT_SCHEMA: schema,
    CKPT_TABLE: table,
    CKPT_LANGGRAPH_SCHEMA: schema,
  };
  onTestFinished(async () => {
    await place.pool.query(`DROP SCHEMA IF EXISTS ${quoted(schema)} CASCADE`);
    await place.remove();
  });
  const made = await runCli(['init', '--json', '--partition-by', 'month'], env);
  expect(made).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(made.stdout).table).toBe(`${quoted(schema)}.${quoted(table)}`);
  await logged(startCli(['worker'], env), 'writer started');
  const line = JSON.stringify({ id: 'a', executionId: 'run', nodeName: 'plan', state: 1 });
  expect(await runCli(['save', '-', '--wait'], env, line)).toMatchObject({ code: 0 });
  expect((await runCli(['list', 'run'], env)).stdout).toContain('plan');
  const { findings } = JSON.parse((await runCli(['doctor', '--json'], env)).stdout);
  expect(findings.filter(({ severity }: { severity: string }) => severity === 'error')).toEqual([]);
}, 60_000);
