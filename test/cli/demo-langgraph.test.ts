import { once } from 'node:events';
import {
  type Checkpoint,
  emptyCheckpoint,
  MemorySaver,
  type PendingWrite,
} from '@langchain/langgraph-checkpoint';
import { expect, test } from 'vitest';
import { GraphOracle } from '../../src/cli/demo/langgraph/graph-oracle.js';
import { runCli, startCli } from './cli.js';

test('graphs of the demo are resumed through another checkpointer, and all of every thread is found', async () => {
  const { code, stdout } = await runCli([
    'demo',
    '--langgraph',
    '--agents',
    '4',
    '--saves',
    '6',
    '--workers',
    '2',
    '--json',
  ]);

  expect(JSON.parse(stdout)).toMatchObject({
    agents: 4,
    workers: 2,
    saves: 4 * 19,
    acknowledged: 4 * 19,
    committed: 4 * 19,
    threadsRight: 4,
    threadsWrong: 0,
    missing: 0,
    stale: 0,
  });
  expect(code).toBe(0);
}, 120_000);

test('Ctrl-C ends graphs under way with exit code 130', async () => {
  const demo = startCli(['demo', '--langgraph', '--agents', '8', '--saves', '100000', '--workers', '1']);
  let progress = '';
  for await (const text of demo.stderr?.iterator({ destroyOnReturn: false }) ?? []) {
    progress += text;
    if (/acknowledged [1-9]/.test(progress)) break;
  }
  demo.kill('SIGINT');

  let summary = '';
  demo.stdout?.on('data', (text) => {
    summary += text;
  });
  expect(await once(demo, 'close')).toEqual([130, null]);
  expect(summary).toMatch(/^interrupted: \d+ of \d+ saves acknowledged/);
}, 120_000);

test('graphs replay no recorded runs', async () => {
  const { code, stderr } = await runCli(['demo', '--langgraph', '--trace', '.', '--json']);

  expect(code).toBe(2);
  expect(JSON.parse(stderr).error.field).toBe('--trace');
});

const WRITES: PendingWrite[] = [
  ['messages', ['one']],
  ['__interrupt__', [{ value: 'ok?' }]],
];

/** Puts a checkpoint with writes into the saver, but what the oracle is told of it may differ. */
async function put(
  threadId: string,
  { told = {}, stored = {} }: { told?: Partial<Put>; stored?: Partial<Put> },
  { oracle, saver }: { oracle: GraphOracle; saver: MemorySaver },
): Promise<void> {
  const checkpoint = { ...emptyCheckpoint(), channel_versions: { messages: 1 } };
  const usual: Put = { values: { messages: ['one'], leftover: 1 }, writes: WRITES };
  const expected = { ...usual, ...told };
  const kept = { ...usual, ...stored };
  if (expected.values) oracle.put(threadId, '', { ...checkpoint, channel_values: expected.values })();
  oracle.putWrites(threadId, '', checkpoint.id, 'task', expected.writes)();
  const config = { configurable: { thread_id: threadId, checkpoint_ns: '' } };
  const place = { configurable: { ...config.configurable, checkpoint_id: checkpoint.id } };
  if (!kept.values) return;
  await saver.put(
    config,
    { ...checkpoint, channel_values: kept.values },
    { source: 'loop', step: 0, parents: {} },
  );
  if (kept.writes.length > 0) await saver.putWrites(place, kept.writes, 'task');
}

interface Put {
  readonly values: Checkpoint['channel_values'] | undefined;
  readonly writes: PendingWrite[];
}

test.each<[string, Parameters<typeof put>[1], object]>([
  ['finds nothing wrong with what is stored as it was put', {}, { missing: 0, stale: 0, threadsRight: 1 }],
  [
    'notices a missing checkpoint',
    { stored: { values: undefined } },
    { missing: 1, stale: 0, threadsWrong: 1 },
  ],
  ['notices a value that is another', { stored: { values: { messages: [] } } }, { missing: 0, stale: 1 }],
  ['notices missing writes', { stored: { writes: [] } }, { missing: 2, stale: 0 }],
  ['notices a write that is another', { stored: { writes: [['messages', []]] } }, { missing: 1, stale: 1 }],
  ['notices a write that nobody made', { told: { writes: [] } }, { missing: 0, stale: 2, threadsWrong: 1 }],
])('the comparison of graphs %s', async (_, given, expected) => {
  const place = { oracle: new GraphOracle(), saver: new MemorySaver() };
  await put('thread', given, place);

  expect(await place.oracle.verify(place.saver, () => {})).toMatchObject(expected);
});

test('a thread that was read otherwise than it had to be is wrong', async () => {
  const place = { oracle: new GraphOracle(), saver: new MemorySaver() };
  await put('thread', {}, place);
  place.oracle.readWrong('thread');

  expect(await place.oracle.verify(place.saver, () => {})).toMatchObject({ stale: 1, threadsWrong: 1 });
});
