import { EventEmitter, once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import {
  BackpressureError,
  type CheckpointStore,
  DatabaseError,
  QueueUnavailableError,
} from '../../src/index.js';
import { newExecution } from '../contract/checkpoints.js';
import type { FaultOracle, WholeCheckpoint } from './oracle.js';

export interface LoadOptions {
  /** Agents, each with an execution of its own, each with one save under way. Default 10. */
  executions?: number;
  /** Each agent waits so many milliseconds after a save: the load is to be steady, not the highest. Default 5. */
  pauseMs?: number;
  /** The load ends when so many saves were called. Default 20,000. */
  maxSaves?: number;
  /** Bytes of a state, about. Default 500. */
  stateBytes?: number;
  /** Every so many saves an agent deletes a checkpoint of its. Default 20; 0: never. */
  deleteEvery?: number;
}

/** What became of the calls. Errors of the types that an outage leads to are counted; any other ends the load. */
export interface LoadCounts {
  acknowledged: number;
  queueUnavailable: number;
  backpressure: number;
  deleted: number;
  /** Deletes need both servers: they fail with either. */
  deletesFailed: number;
}

/** Agents that save on and on and report to the oracle, until `stop()` or the end of the test. */
export class Load {
  readonly counts: LoadCounts = {
    acknowledged: 0,
    queueUnavailable: 0,
    backpressure: 0,
    deleted: 0,
    deletesFailed: 0,
  };
  readonly executionIds: readonly string[];
  readonly #stopping = new AbortController();
  readonly #news = new EventEmitter().setMaxListeners(0);
  readonly #agents: Promise<unknown>;
  #savesLeft: number;

  private constructor(
    private readonly store: Pick<CheckpointStore, 'save' | 'delete'>,
    private readonly oracle: FaultOracle,
    private readonly options: Required<LoadOptions>,
  ) {
    this.#savesLeft = options.maxSaves;
    this.executionIds = Array.from({ length: options.executions }, newExecution);
    const agents = this.executionIds.map((executionId) => this.#run(executionId));
    this.#agents = Promise.all(agents).catch((error) => {
      this.#stopping.abort();
      this.#news.emit('news');
      throw error;
    });
    this.#agents.catch(() => {}); // thrown by `stop` and `reaches`
  }

  static start(
    store: Pick<CheckpointStore, 'save' | 'delete'>,
    oracle: FaultOracle,
    { executions = 10, pauseMs = 5, maxSaves = 20_000, stateBytes = 500, deleteEvery = 20 }: LoadOptions = {},
  ): Load {
    const load = new Load(store, oracle, { executions, pauseMs, maxSaves, stateBytes, deleteEvery });
    onTestFinished(async () => {
      await load.stop().catch(() => {}); // told where the test itself stops it
    });
    return load;
  }

  /** Resolves when so many more of these have been counted. @throws what ended the load, or if it ended */
  async more(count: number, what: keyof LoadCounts = 'acknowledged'): Promise<void> {
    const goal = this.counts[what] + count;
    while (this.counts[what] < goal) {
      if (this.#stopping.signal.aborted || this.#savesLeft === 0) {
        await this.#agents;
        if (this.counts[what] < goal) throw new Error(`the load ended before ${count} more were ${what}`);
      } else await once(this.#news, 'news');
    }
  }

  /** No more saves; resolves when those under way are settled. @throws what ended the load before */
  async stop(): Promise<LoadCounts> {
    this.#stopping.abort();
    await this.#agents;
    return this.counts;
  }

  async #run(executionId: string): Promise<void> {
    const { signal } = this.#stopping;
    const { pauseMs, deleteEvery } = this.options;
    for (let step = 1; !signal.aborted && this.#savesLeft > 0; step++) {
      this.#savesLeft--;
      await this.#save(this.#checkpoint(executionId, step));
      if (deleteEvery > 0 && step % deleteEvery === 0) {
        await this.#delete(`${executionId}-${anyOf(step)}`);
      }
      await delay(pauseMs, undefined, { signal }).catch(() => {});
    }
    this.#news.emit('news');
  }

  /** Every second one is new; the others are saved before, again with a higher, the same or a lower version. */
  #checkpoint(executionId: string, step: number): WholeCheckpoint {
    const number = step % 2 === 0 ? step : anyOf(step);
    return {
      id: `${executionId}-${number}`,
      executionId,
      nodeName: `node-${step % 7}`,
      state: { step, filling: 'x'.repeat(this.options.stateBytes) },
      metadata: { step },
      timestamp: new Date(1_700_000_000_000 + step),
      version: Math.floor(Math.random() * 10),
    };
  }

  async #save(checkpoint: WholeCheckpoint): Promise<void> {
    try {
      await this.oracle.save(this.store, checkpoint);
      this.#count('acknowledged');
    } catch (error) {
      if (error instanceof QueueUnavailableError) this.#count('queueUnavailable');
      else if (error instanceof BackpressureError) this.#count('backpressure');
      else throw error;
    }
  }

  async #delete(id: string): Promise<void> {
    try {
      await this.oracle.delete(this.store, id);
      this.#count('deleted');
    } catch (error) {
      const foreseen = error instanceof QueueUnavailableError || error instanceof DatabaseError;
      if (!foreseen) throw error;
      this.#count('deletesFailed');
    }
  }

  #count(what: keyof LoadCounts): void {
    this.counts[what]++;
    this.#news.emit('news');
  }
}

/** One of the last checkpoints of an agent that is at this step, of which half were saved under their own number. */
function anyOf(step: number): number {
  return 2 * Math.ceil((step - Math.min(step, 30) * Math.random()) / 2);
}
