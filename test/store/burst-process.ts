import { CheckpointRecorder, QueuedCheckpointStore } from '../../src/index.js';
import { QueuedPostgresSaver } from '../../src/langgraph/index.js';

/** How the values reach the queue. */
export type BurstKind =
  | 'save'
  | 'saveBatch'
  | 'save with expectedVersion'
  | 'save without Redis'
  | 'recorder.save'
  | 'recorder.updateState'
  | 'put'
  | 'putWrites';

export interface Burst {
  readonly kind: BurstKind;
  readonly count: number;
  /** Of each value: so many times this text. */
  readonly text: string;
  readonly times: number;
  readonly options: { redis: string; postgres: string; schema: string; queue: string };
}

export interface BurstResult {
  /** The numbers of the calls that were acknowledged. */
  readonly acknowledged: number[];
  /** Code and limit of the others, each once. */
  readonly refusals: string[];
  /** How much the memory of the process grew, at most. */
  readonly grownBytes: number;
}

/** Makes all calls of a burst in one turn of the event loop, as `JSON.parse(process.argv[2])` says, and prints what became of them. */
const { kind, count, text, times, options } = JSON.parse(process.argv[2] as string) as Burst;
const value = { text: text.repeat(times) };
const numbers = Array.from({ length: count }, (_, number) => number);
const inputOf = (number: number) => ({
  id: `${number}`,
  executionId: 'burst',
  nodeName: 'node',
  state: value,
});
// The machine may be busy: what is under test is memory, not speed.
const limits = { enqueueTimeoutMs: 120_000 };

async function callsOf(): Promise<{ calls: Promise<unknown>[]; close: () => Promise<void> }> {
  if (kind === 'put' || kind === 'putWrites') {
    const saver = new QueuedPostgresSaver({ ...options, ...limits });
    const configOf = (number: number) => ({
      configurable: { thread_id: `${number}`, checkpoint_ns: '', checkpoint_id: '1' },
    });
    const checkpoint = {
      v: 4,
      id: '2',
      ts: '2024-01-01T00:00:00.000Z',
      channel_values: value,
      channel_versions: { text: 1 },
      versions_seen: {},
    };
    const metadata = { source: 'loop', step: 0, parents: {} } as const;
    return {
      calls: numbers.map((number) =>
        kind === 'put'
          ? saver.put(configOf(number), checkpoint, metadata, { text: 1 })
          : saver.putWrites(configOf(number), [['text', value.text]], 'task'),
      ),
      close: () => saver.end(),
    };
  }
  const store = new QueuedCheckpointStore({
    ...options,
    ...limits,
    ...(kind === 'save without Redis' && {
      redis: 'redis://127.0.0.1:1',
      enqueueTimeoutMs: 1000,
      onQueueUnavailable: 'write-through',
    }),
  });
  const recorder = new CheckpointRecorder({ store, executionId: 'burst' });
  const close = async () => {
    await recorder.close();
    await store.close();
  };
  switch (kind) {
    case 'saveBatch':
      return { calls: [store.saveBatch(numbers.map(inputOf))], close };
    case 'save with expectedVersion':
      return { calls: numbers.map((number) => store.save(inputOf(number), { expectedVersion: 0 })), close };
    case 'recorder.save':
      return { calls: numbers.map((number) => recorder.save(`${number}`, value)), close };
    case 'recorder.updateState':
      return { calls: numbers.map((number) => recorder.updateState(value, `${number}`)), close };
    default:
      return { calls: numbers.map((number) => store.save(inputOf(number))), close };
  }
}

let most = 0;
const measure = () => {
  most = Math.max(most, process.memoryUsage.rss());
};
measure();
const before = most;
const { calls, close } = await callsOf();
measure();
const measuring = setInterval(measure, 5);
const ends = await Promise.allSettled(calls);
clearInterval(measuring);
const refusals = new Set(
  ends.flatMap((end) => (end.status === 'rejected' ? [`${end.reason.code} ${end.reason.limit}`] : [])),
);
const result: BurstResult = {
  acknowledged: numbers.filter((number) => ends[number]?.status === 'fulfilled'),
  refusals: [...refusals],
  grownBytes: Math.max(most, process.resourceUsage().maxRSS * 1024) - before,
};
await close();
process.stdout.write(JSON.stringify(result));
