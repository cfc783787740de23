import { type Cluster, Command } from 'ioredis';
import { InvalidConfigError } from '../errors.js';
import { settlesWithin } from './deadline.js';
import type { QueueKeys } from './queue-keys.js';

/** Then the client is asked for the new master once more. */
const ASK_TIMEOUT_MS = 1000;

/**
 * Where a queue is in a Redis Cluster: all of its keys are in one hash slot, for scripts and transactions need them together. Tells
 * which node has it, as far as the client knows.
 */
export class ClusterSlot {
  readonly #key: string;
  readonly #slot: number;
  #master: string | undefined;
  #moves = 0;
  #asking: Promise<void> | undefined;

  /** @throws InvalidConfigError naming `prefix` where the keys would be in many slots */
  constructor(
    private readonly cluster: Cluster,
    keys: QueueKeys,
  ) {
    if (!hasHashTag(`${keys.prefix}:${keys.queue}`)) {
      throw new InvalidConfigError(
        'prefix',
        'needs a hash tag for a Redis Cluster, which keeps all keys of the queue on one node: {ckpt} for instance. ' +
          'Producers and workers need the same',
      );
    }
    this.#key = keys.sequence;
    this.#slot = new Command('exists', [this.#key]).getSlot();
  }

  /** How often its master was another one than at the look before. A master that is demoted keeps its connections. */
  get moves(): number {
    const master = this.cluster.slots[this.#slot]?.[0];
    if (master !== this.#master) {
      if (this.#master !== undefined) this.#moves++;
      this.#master = master;
    }
    return this.#moves;
  }

  /** Whether its master is connected. */
  get ready(): boolean {
    const master = this.cluster.slots[this.#slot]?.[0];
    const ready = this.cluster.nodes('master').some(({ options, status }) => {
      return `${options.host}:${options.port}` === master && status === 'ready';
    });
    // A Cluster client looks for the new master, and connects to it, only when something is sent; who asks may wait with that.
    if (!ready) this.#asking ??= this.#ask();
    return ready;
  }

  /** A reply that never comes must not be the last one that is asked for. */
  async #ask(): Promise<void> {
    await settlesWithin(this.cluster.exists(this.#key), ASK_TIMEOUT_MS);
    this.#asking = undefined;
  }
}

/** As Redis finds it: what stands between the first `{` and the first `}` behind it, if that is anything. */
function hasHashTag(key: string): boolean {
  const open = key.indexOf('{');
  return open >= 0 && key.indexOf('}', open) > open + 1;
}
