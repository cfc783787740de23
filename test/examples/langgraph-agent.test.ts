import { expect, test } from 'vitest';
import { resultOf, startProgram } from '../child-process.js';
import { services } from '../services.js';

test('the LangGraph example asks in one process and goes on in another, and ends with exit code 0', async () => {
  const { databaseUrl, redisUrl } = services();
  const example = startProgram('examples/langgraph-agent.ts', [], {
    env: { ...process.env, DATABASE_URL: databaseUrl, REDIS_URL: redisUrl },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { code, stdout } = await resultOf(example);

  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => /^\[process (\d+)\] (.*)$/.exec(line)?.slice(1) as [pid: string, text: string]);
  expect(code).toBe(0);
  expect(lines.map(([, text]) => text)).toEqual([
    'plan: look up order A-17, then refund it',
    'tool find_order: kettle, paid 40',
    'asks: Refund 40 for the kettle? And ends; Redis holds all of it.',
    'finds it waiting at approval: Refund 40 for the kettle?',
    'Ada approved it',
    'tool refund: paid 40 back',
    'done: refunded',
    '7 checkpoints are in PostgreSQL',
  ]);
  const pids = lines.map(([pid]) => pid);
  expect(new Set(pids.slice(0, 3)).size).toBe(1);
  expect(new Set(pids.slice(3)).size).toBe(1);
  expect(pids[3]).not.toBe(pids[0]);
}, 120_000);
