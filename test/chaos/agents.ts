import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { FaultOracle, Shown, WholeCheckpoint } from '../faults/oracle.js';
import type { Chance } from './chance.js';
import { hidesRefusal, type PoisonLedger } from './poison.js';
import { REFUSAL_NAMES, type Refusal } from './refusals.js';
import { RemoteError, type RemoteStore } from './remote-store.js';
import type { Tally } from './tally.js';

export interface Producer {
  readonly store: RemoteStore;
  /** Within this time a save is acknowledged or rejects; undefined where it may go on to PostgreSQL. */
  readonly deadlineMs: number | undefined;
}

export interface AgentWorld {
  readonly producers: readonly Producer[];
  readonly oracle: FaultOracle;
  readonly poison: PoisonLedger;
  readonly tally: Tally;
  readonly signal: AbortSignal;
}

/** What stands in every state, and must be found in no log and no error. */
export const SECRET = `secret-${randomUUID()}`;
/** Above `maxQueuedBytes` of the producers. */
const OVERSIZE_BYTES = 40_000;
const STATE_BYTES = 300;
const PAUSE_MS = { min: 5, max: 45 };
/** While its producer is away. */
const AWAY_PAUSE_MS = 200;
const STEPS_OF_EXECUTION = { min: 30, max: 150 };
const LATEST_TIMEOUT_MS = 15_000;
/** For a busy machine. */
const LATE_GRACE_MS = 5000;
const POISON_EVERY = 100;

/** What outages, or a producer that is killed, lead to. */
const FORESEEN = new Set([
  'QUEUE_UNAVAILABLE',
  'REDIS_ACCESS',
  'DATABASE',
  'PENDING_WRITES_TIMEOUT',
  'BACKPRESSURE',
  'PRODUCER_GONE',
]);

/** Two agents work on each execution, through whichever producer: so they overwrite and delete what is the other's. */
interface Execution {
  readonly id: string;
  steps: number;
  lastNumber: number;
}

const executionOf = (chance: Chance): Execution => ({
  id: `execution-${randomUUID()}`,
  steps: chance.whole(STEPS_OF_EXECUTION.min, STEPS_OF_EXECUTION.max),
  lastNumber: 0,
});

/** Runs two agents, one execution after the other, until the signal; resolves when what they called has ended. */
export async function runPair(chance: Chance, world: AgentWorld): Promise<void> {
  while (!world.signal.aborted) {
    const execution = executionOf(chance);
    const agents = [1, 2].map(() => new Agent(execution, chance, world));
    await Promise.all(agents.map((agent) => agent.run()));
  }
}

class Agent {
  #step = 0;

  constructor(
    private readonly execution: Execution,
    private readonly chance: Chance,
    private readonly world: AgentWorld,
  ) {}

  async run(): Promise<void> {
    const { execution, chance, world } = this;
    while (!world.signal.aborted && execution.steps-- > 0) {
      this.#step++;
      const away = await this.#act();
      const pause = away ? AWAY_PAUSE_MS : chance.whole(PAUSE_MS.min, PAUSE_MS.max);
      await delay(pause, undefined, { signal: world.signal }).catch(() => {});
    }
  }

  /** @returns whether the producer was away */
  async #act(): Promise<boolean> {
    const { chance, world } = this;
    const { oracle, tally } = world;
    const producer = chance.oneOf(world.producers);
    const { store } = producer;
    const draw = chance.whole(1, 1000);
    let name = 'save';
    try {
      if (++tally.acts % POISON_EVERY === 0) {
        const refusal = chance.oneOf(REFUSAL_NAMES);
        name = `poison, ${refusal}`;
        await this.#poison(store, refusal);
      } else if (draw <= 40) {
        name = 'delete';
        await oracle.delete(store, this.#earlierId());
      } else if (draw <= 46) {
        name = 'clear';
        await oracle.clear(store, this.execution.id);
      } else if (draw <= 86) {
        name = chance.oneOf(['latest', 'list', 'load']);
        await this.#read(name, store);
      } else if (draw <= 106) {
        name = 'save, committed';
        await oracle.save(
          { save: (checkpoint) => receipt(store.saveCommitted(checkpoint)) },
          this.#checkpoint(),
        );
      } else if (draw <= 120) {
        name = 'save, oversize';
        await oracle.save(
          { save: (checkpoint) => receipt(store.save(checkpoint)) },
          this.#checkpoint(OVERSIZE_BYTES),
        );
      } else await this.#save(producer);
      tally.count(name);
      return false;
    } catch (error) {
      return this.#failed(name, error);
    }
  }

  #failed(name: string, error: unknown): boolean {
    if (!(error instanceof RemoteError)) throw error;
    countError(this.world.tally, name, error);
    return error.code === 'PRODUCER_GONE';
  }

  async #save({ store, deadlineMs }: Producer): Promise<void> {
    const { oracle, tally } = this.world;
    await store.up();
    const began = performance.now();
    try {
      await oracle.save({ save: (checkpoint) => receipt(store.save(checkpoint)) }, this.#checkpoint());
    } finally {
      const ms = performance.now() - began;
      tally.slowestSaveMs = Math.max(tally.slowestSaveMs, ms);
      if (deadlineMs !== undefined && ms > deadlineMs + LATE_GRACE_MS)
        tally.late.push(`a save through ${store.name} took ${Math.round(ms)} ms`);
    }
  }

  /** In an execution of its own, so that it can be read. */
  async #poison(store: RemoteStore, refusal: Refusal): Promise<void> {
    const { oracle, poison, tally, producers } = this.world;
    const checkpoint = { ...this.#checkpoint(), id: `poison-${randomUUID()}`, executionId: randomUUID() };
    const { id, executionId } = checkpoint;
    const state = { ...checkpoint.state, poison: refusal };
    await poison.save(id, refusal, () =>
      oracle.save({ save: (whole) => receipt(store.save(whole)) }, { ...checkpoint, state }),
    );
    const reader = this.chance.oneOf(producers).store;
    const hidden = await hidesRefusal(() => reader.latest(executionId, latest()));
    if (hidden) tally.misreads.push(`latest of ${executionId} hides that ${id} is refused`);
  }

  async #read(name: string, store: RemoteStore): Promise<void> {
    const { oracle, tally } = this.world;
    const { id: executionId } = this.execution;
    const misreads = await oracle.read(executionId, () => this.#show(name, store));
    for (const { id, wrong } of misreads) {
      tally.misreads.push(`${name} through ${store.name} of ${executionId}: ${id} is ${wrong}`);
    }
  }

  async #show(name: string, store: RemoteStore): Promise<Shown> {
    const { id: executionId } = this.execution;
    if (name === 'list') return { checkpoints: await store.list(executionId, latest()), covers: () => true };
    if (name === 'latest') {
      const newest = await store.latest(executionId, latest());
      const from = newest ? numberOf(newest.id) : 0;
      return { checkpoints: newest ? [newest] : [], covers: (id) => numberOf(id) >= from };
    }
    const wanted = this.#earlierId();
    const found = await store.load(wanted, { ...latest(), executionId }).catch(ifMissing);
    return { checkpoints: found ? [found] : [], covers: (id) => id === wanted };
  }

  /** Half of them are new; the others are saved before, again with a higher, the same or a lower version. */
  #checkpoint(stateBytes = STATE_BYTES): WholeCheckpoint {
    const { chance, execution } = this;
    const again = execution.lastNumber > 0 && chance.percent(50);
    const number = again
      ? chance.whole(Math.max(1, execution.lastNumber - 20), execution.lastNumber)
      : ++execution.lastNumber;
    return {
      id: idOf(execution, number),
      executionId: execution.id,
      nodeName: `node-${number % 7}`,
      state: { token: randomUUID(), secret: SECRET, filling: 'x'.repeat(stateBytes) },
      metadata: { step: this.#step },
      // Of the number alone: so the newest of an execution is the one with the highest.
      timestamp: new Date(1_700_000_000_000 + number),
      version: chance.whole(0, 9),
    };
  }

  #earlierId(): string {
    const { lastNumber } = this.execution;
    return idOf(this.execution, this.chance.whole(Math.max(1, lastNumber - 20), Math.max(1, lastNumber)));
  }
}

/** Counts an error of a call; one that no fault explains is noted. */
export function countError(tally: Tally, name: string, error: RemoteError): void {
  tally.failed(name, error.code);
  if (!FORESEEN.has(error.code)) tally.unforeseen.push(`${name}: ${error.code} ${error.message}`);
  if (error.message.includes(SECRET)) tally.unforeseen.push(`${name}: an error tells a state`);
}

const idOf = ({ id }: Execution, number: number): string => `${id}/${number}`;
const numberOf = (id: string): number => Number(id.slice(id.lastIndexOf('/') + 1));
const latest = () => ({ consistency: 'latest', timeoutMs: LATEST_TIMEOUT_MS }) as const;

function ifMissing(error: unknown): undefined {
  if (error instanceof RemoteError && error.code === 'CHECKPOINT_NOT_FOUND') return undefined;
  throw error;
}

/** What the oracle takes; the outcome is asked for where the save was called. */
async function receipt(saved: Promise<{ id: string; sequence: number }>) {
  return { ...(await saved), committed: () => Promise.reject(new Error('not here')) };
}
