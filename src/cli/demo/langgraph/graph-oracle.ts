import { createHash } from 'node:crypto';
import {
  type BaseCheckpointSaver,
  type Checkpoint,
  type PendingWrite,
  WRITES_IDX_MAP,
} from '@langchain/langgraph-checkpoint';
import type { Verification } from '../demo-load.js';
import { canonicalJson } from '../oracle.js';

/** What was acknowledged of one checkpoint. */
interface Expected {
  /** Undefined while only writes of it are. */
  values: string | undefined;
  /** By task, by place. */
  readonly writes: Map<string, Map<number, string>>;
}

/** Remembers, outside of Redis and PostgreSQL, what a saver has acknowledged: digests of checkpoints and writes. */
export class GraphOracle {
  readonly #threads = new Map<string, Map<string, Expected>>();
  readonly #wrong = new Map<string, number>();

  get threads(): number {
    return this.#threads.size;
  }

  /** Takes the digest now; the function returned is called when it is acknowledged. */
  put(threadId: string, namespace: string, checkpoint: Checkpoint): () => void {
    const values = valuesDigest(checkpoint);
    return () => {
      this.#expected(threadId, namespace, checkpoint.id).values = values;
    };
  }

  /** As `put`. Of ordinary writes the first counts, of errors, interrupts and the like the last. */
  putWrites(
    threadId: string,
    namespace: string,
    checkpointId: string,
    taskId: string,
    writes: readonly PendingWrite[],
  ): () => void {
    const digests = writes.map(([channel, value]) => digest([channel, value]));
    return () => {
      const { writes: expected } = this.#expected(threadId, namespace, checkpointId);
      const ofTask = expected.get(taskId) ?? new Map<number, string>();
      expected.set(taskId, ofTask);
      for (const [place, [channel]] of writes.entries()) {
        const index = WRITES_IDX_MAP[channel as keyof typeof WRITES_IDX_MAP] ?? place;
        if (index < 0 || !ofTask.has(index)) ofTask.set(index, digests[place] as string);
      }
    };
  }

  /** A thread was read otherwise than it had to be. */
  readWrong(threadId: string): void {
    this.#wrong.set(threadId, (this.#wrong.get(threadId) ?? 0) + 1);
  }

  /** Reads every thread back and compares each checkpoint with its writes. Calls `onThread` after each. */
  async verify(
    saver: Pick<BaseCheckpointSaver, 'list'>,
    onThread: () => void,
    signal?: AbortSignal,
  ): Promise<Required<Verification>> {
    const sum = { missing: 0, stale: 0, threadsRight: 0, threadsWrong: 0 };
    for (const [threadId, expected] of this.#threads) {
      if (signal?.aborted) break;
      const { missing, stale } = await compare(saver, threadId, expected);
      const staleWithReads = stale + (this.#wrong.get(threadId) ?? 0);
      sum.missing += missing;
      sum.stale += staleWithReads;
      if (missing + staleWithReads > 0) sum.threadsWrong++;
      else sum.threadsRight++;
      onThread();
    }
    return sum;
  }

  #expected(threadId: string, namespace: string, checkpointId: string): Expected {
    const thread = this.#threads.get(threadId) ?? new Map<string, Expected>();
    this.#threads.set(threadId, thread);
    const key = keyOf(namespace, checkpointId);
    const expected = thread.get(key) ?? { values: undefined, writes: new Map() };
    thread.set(key, expected);
    return expected;
  }
}

async function compare(
  saver: Pick<BaseCheckpointSaver, 'list'>,
  threadId: string,
  expected: ReadonlyMap<string, Expected>,
): Promise<{ missing: number; stale: number }> {
  const sum = { missing: 0, stale: 0 };
  const unseen = new Map(expected);
  for await (const { config, checkpoint, pendingWrites } of saver.list({
    configurable: { thread_id: threadId },
  })) {
    const key = keyOf(config.configurable?.checkpoint_ns, checkpoint.id);
    const wanted = unseen.get(key);
    unseen.delete(key);
    if (wanted?.values !== valuesDigest(checkpoint)) sum.stale++;
    const found = pendingWrites ?? [];
    const taskIds = [...found.map(([taskId]) => taskId), ...(wanted?.writes.keys() ?? [])];
    for (const taskId of new Set(taskIds)) {
      // Both in the order of their places.
      const places = [...(wanted?.writes.get(taskId) ?? [])].sort(([a], [b]) => a - b);
      const ofTask = found.filter(([id]) => id === taskId);
      const stored = ofTask.map(([, channel, value]) => digest([channel, value]));
      sum.missing += Math.max(0, places.length - stored.length);
      sum.stale += stored.filter((value, place) => value !== places[place]?.[1]).length;
    }
  }
  sum.missing += unseen.size;
  return sum;
}

/** Of the channels that have a version: of others nothing is stored. */
function valuesDigest({ channel_values: values, channel_versions: versions }: Checkpoint): string {
  return digest(Object.fromEntries(Object.entries(values).filter(([channel]) => channel in versions)));
}

function digest(value: unknown): string {
  const json: unknown = JSON.parse(JSON.stringify(value));
  return createHash('sha256').update(canonicalJson(json)).digest('base64');
}

function keyOf(namespace: string | undefined, checkpointId: string): string {
  return `${namespace ?? ''}\0${checkpointId}`;
}
