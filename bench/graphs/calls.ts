import { type BaseCheckpointSaver, MemorySaver } from '@langchain/langgraph';
import type {
  ChannelVersions,
  Checkpoint,
  CheckpointMetadata,
  PendingWrite,
} from '@langchain/langgraph-checkpoint';
import type { StateSet } from '../states.js';
import { agentGraph, runThread } from './agent-graph.js';

interface Saver {
  put: BaseCheckpointSaver['put'];
  putWrites(config: Config, writes: PendingWrite[], taskId: string, taskPath?: string): Promise<void>;
}
type Config = Parameters<BaseCheckpointSaver['put']>[0];

/** One call of a saver as a graph made it, to be made again for another thread. */
export interface SaverCall {
  readonly kind: 'put' | 'putWrites';
  make(saver: Saver, threadId: string): Promise<unknown>;
}

/** A call in its thread. */
export interface ThreadCall extends SaverCall {
  readonly threadId: string;
}

/** Different runs that are recorded, for threads to take turns at. */
const RECORDED_RUNS = 8;

/** Of some runs of the graph, all calls that it makes to its saver, in order. Channel versions are counted as the saver given does. */
export async function recordRuns(
  states: StateSet,
  versions: Pick<BaseCheckpointSaver, 'getNextVersion'>,
): Promise<SaverCall[][]> {
  const runs: SaverCall[][] = [];
  for (let run = 0; run < RECORDED_RUNS; run++) {
    const recorder = new Recorder(versions);
    await runThread(agentGraph(states, recorder), 'recorded', run);
    runs.push(recorder.calls);
  }
  return runs;
}

/** For each of many threads at once an endless supply of calls: a run after the other, each in a thread of its own. */
export function callSource(runs: readonly SaverCall[][]): (place: number) => ThreadCall {
  const places = new Map<number, { run: number; call: number }>();
  return (place) => {
    const at = places.get(place) ?? { run: 0, call: 0 };
    places.set(place, at);
    const calls = runs[(place + at.run) % runs.length] as SaverCall[];
    const call = calls[at.call] as SaverCall;
    const threadId = `thread-${place}-${at.run}`;
    at.call++;
    if (at.call === calls.length) {
      at.call = 0;
      at.run++;
    }
    return { ...call, threadId };
  };
}

class Recorder extends MemorySaver {
  readonly #calls: SaverCall[] = [];

  readonly #versions: Pick<BaseCheckpointSaver, 'getNextVersion'>;

  constructor(versions: Pick<BaseCheckpointSaver, 'getNextVersion'>) {
    super();
    this.#versions = versions;
  }

  get calls(): SaverCall[] {
    return this.#calls;
  }

  override getNextVersion(current: number | undefined): number {
    return this.#versions.getNextVersion(current);
  }

  override put(
    config: Config,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: ChannelVersions = {},
  ): Promise<Config> {
    const place = placeOf(config);
    const what = structuredClone([checkpoint, metadata, newVersions] as const);
    this.#calls.push({ kind: 'put', make: (saver, threadId) => saver.put(place(threadId), ...what) });
    return super.put(config, checkpoint, metadata);
  }

  override putWrites(config: Config, writes: PendingWrite[], taskId: string, taskPath = ''): Promise<void> {
    const place = placeOf(config);
    const what = structuredClone(writes);
    this.#calls.push({
      kind: 'putWrites',
      make: (saver, threadId) => saver.putWrites(place(threadId), what, taskId, taskPath),
    });
    return super.putWrites(config, writes, taskId);
  }
}

/** The same place in another thread. */
function placeOf({ configurable }: Config): (threadId: string) => Config {
  const { checkpoint_ns, checkpoint_id } = configurable ?? {};
  return (thread_id) => ({ configurable: { thread_id, checkpoint_ns, checkpoint_id } });
}
