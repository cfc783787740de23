import { setTimeout as delay } from 'node:timers/promises';
import type { Checkpoint } from '../../checkpoint.js';
import { BackpressureError, QueueUnavailableError } from '../../errors.js';
import type { CheckpointStore } from '../../store/checkpoint-store.js';
import type { Agent } from './agent.js';
import { ExpectedCheckpoints, fingerprintOf } from './expected-checkpoints.js';

/** A save that Redis does not take fails after 5 s: an outage of about a minute is sat out. */
const SAVE_ATTEMPTS = 12;
const RETRY_PAUSE_MS = 500;

/** Agents at work: each saves one step after the other, all of them at the same time. Keeps what they were acknowledged. */
export class AgentRuns {
  /** Milliseconds from each save to its acknowledgement. */
  readonly latenciesMs: number[] = [];
  readonly expected = new ExpectedCheckpoints();
  #inTrouble = false;

  constructor(
    private readonly store: Pick<CheckpointStore, 'save'>,
    private readonly agents: readonly Agent[],
    private readonly note: (line: string) => void,
  ) {}

  get acknowledged(): number {
    return this.latenciesMs.length;
  }

  /** Resolves when all have made their saves. Rejects, when none is at work any more, with the first error or the abortion. */
  async finish(signal: AbortSignal): Promise<void> {
    const failure = new AbortController();
    const stop = AbortSignal.any([signal, failure.signal]);
    const runs = this.agents.map((agent) =>
      this.#run(agent, stop).catch((error) => {
        failure.abort(error);
      }),
    );
    await Promise.all(runs);
    stop.throwIfAborted();
  }

  async #run(agent: Agent, signal: AbortSignal): Promise<void> {
    for (const checkpoint of agent.checkpoints()) {
      signal.throwIfAborted();
      const fingerprint = fingerprintOf(checkpoint);
      const began = performance.now();
      await this.#save(checkpoint, signal);
      this.latenciesMs.push(performance.now() - began);
      this.expected.add(fingerprint);
    }
  }

  async #save(checkpoint: Checkpoint, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.store.save(checkpoint);
        this.#inTrouble = false;
        return;
      } catch (error) {
        const temporary = error instanceof QueueUnavailableError || error instanceof BackpressureError;
        if (!temporary || attempt === SAVE_ATTEMPTS) throw error;
        if (!this.#inTrouble) this.note(`${error.message}; the agents try again`);
        this.#inTrouble = true;
        await delay(RETRY_PAUSE_MS, undefined, { signal });
      }
    }
  }
}
