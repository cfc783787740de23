import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type CheckpointInput, QueuedCheckpointStore } from '../../src/index.js';
import type { LocalServices } from '../../src/services/local-services.js';

const NODES = ['plan', 'search', 'read', 'compare', 'answer'];
const CITIES = ['Basel', 'Lyon', 'Turin', 'Graz', 'Ghent', 'Porto', 'Bergen'];
const TICK_MS = 100;
/** Saves in a tick, about, and when many agents come back at the same time: more than the workers commit. */
const STEADY = 150;
const SURGE = 3000;
const SURGE_TICKS = 30;
const TICKS_BETWEEN_SURGES = 320;
/** When somebody else keeps the table for himself, and for how long: saves wait in the queue. */
const LOCKED_AT_TICK = 450;
const LOCKED_SECONDS = 12;

/** Agents that look for trains, as a picture shows them. Their table refuses what cannot be paid. */
export class ShownLoad {
  readonly #store: QueuedCheckpointStore;
  readonly #pool: pg.Pool;
  /** One whose steps are a few seconds apart. */
  readonly executionId = 'trip-1042';
  #trip = 1043;
  #saved = 0;

  constructor({ databaseUrl, redisUrl }: LocalServices, queue: string) {
    this.#store = new QueuedCheckpointStore({ redis: redisUrl, postgres: databaseUrl, queue });
    this.#pool = new pg.Pool({ connectionString: databaseUrl, max: 1 });
  }

  async prepare(): Promise<void> {
    await this.#store.latest('nobody'); // makes the table
    await this.#pool.query(
      "ALTER TABLE checkpoints ADD CONSTRAINT price_is_known CHECK (state -> 'price' <> 'null'::jsonb)",
    );
  }

  async run(forMs: number): Promise<void> {
    const end = Date.now() + forMs;
    let locked: Promise<unknown> = Promise.resolve();
    for (let tick = 0; Date.now() < end; tick++) {
      const count = Math.round(STEADY * (1 + 0.5 * Math.sin(tick / 60) + 0.3 * Math.random()));
      const isSurge = (tick + TICKS_BETWEEN_SURGES / 2) % TICKS_BETWEEN_SURGES < SURGE_TICKS;
      await this.#save(isSurge ? SURGE : count);
      if (tick % 45 === 0) await this.#step();
      if (tick % 170 === 100) await this.#refused();
      if (tick === LOCKED_AT_TICK) locked = this.#holdTable();
      await delay(TICK_MS);
    }
    await locked;
    await this.#store.flush().catch(() => {}); // what was refused is what is to be seen
    await this.#pool.query('ANALYZE checkpoints'); // for the estimate of the rows
  }

  #holdTable(): Promise<unknown> {
    return this.#pool.query(
      `BEGIN; LOCK TABLE checkpoints IN SHARE MODE; SELECT pg_sleep(${LOCKED_SECONDS}); COMMIT`,
    );
  }

  async #save(count: number): Promise<void> {
    const checkpoints = Array.from({ length: count }, (_, index) => {
      const trip = this.#trip + (index % 200);
      return this.#checkpoint(`trip-${trip}`, ++this.#saved, { price: 40 + (index % 60) });
    });
    await this.#store.saveBatch(checkpoints);
    this.#trip++;
  }

  #steps = 0;

  async #step(): Promise<void> {
    await this.#store.save(this.#checkpoint(this.executionId, ++this.#steps, { price: 94 - this.#steps }));
  }

  async #refused(): Promise<void> {
    await this.#store.save(this.#checkpoint(`trip-${this.#trip}`, ++this.#saved, { price: null }));
  }

  #checkpoint(executionId: string, step: number, { price }: { price: number | null }): CheckpointInput {
    const city = CITIES[step % CITIES.length];
    return {
      id: `${executionId}:${step}`,
      executionId,
      nodeName: NODES[(step - 1) % NODES.length] as string,
      version: step,
      state: {
        step,
        price,
        goal: `the cheapest train to ${CITIES[0]}`,
        messages: Array.from({ length: Math.min(step, 6) }, (_, index) => ({
          role: index % 2 === 0 ? 'assistant' : 'tool',
          content: `by ${CITIES[index % CITIES.length]}: ${60 + 7 * index} francs`,
        })),
        next: `ask for the fares by ${city}`,
      },
    };
  }

  async close(): Promise<void> {
    await this.#store.close().catch(() => {});
    await this.#pool.end();
  }
}
