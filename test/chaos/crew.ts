import type { Producer } from './agents.js';
import { type Arena, QUEUE, SCHEMA } from './arena.js';
import { Line } from './line.js';
import { RemoteStore } from './remote-store.js';
import { WorkerSlot } from './worker-slot.js';

const WORKERS = ['worker-1', 'worker-2', 'worker-3'];
/** Not killed, so that its memory can be watched; the outages of servers and network meet it as the others. */
const SPARED = 'worker-spared';
const ENQUEUE_TIMEOUT_MS = 2000;
const MAX_QUEUED_BYTES = 20_000;

/** All processes under test, each behind proxies of its own. */
export class Crew {
  private constructor(
    readonly lines: readonly Line[],
    readonly workers: readonly WorkerSlot[],
    readonly spared: WorkerSlot,
    /** Killed now and then; rejects what Redis does not take. */
    readonly killed: Producer,
    /** Not killed; writes through. */
    readonly lasting: Producer,
  ) {}

  static async start(arena: Arena): Promise<Crew> {
    const servers = { redis: arena.redisUrl, postgres: arena.postgresUrl };
    const lines: Line[] = [];
    const line = async (name: string) => {
      const started = await Line.start(name, servers);
      lines.push(started);
      return started;
    };
    const workers: WorkerSlot[] = [];
    for (const name of WORKERS) workers.push(new WorkerSlot(await line(name)));
    const spared = new WorkerSlot(await line(SPARED));
    const crew = new Crew(
      lines,
      workers,
      spared,
      { store: storeOf(await line('producer-1'), 'reject'), deadlineMs: ENQUEUE_TIMEOUT_MS },
      { store: storeOf(await line('producer-2'), 'write-through'), deadlineMs: undefined },
    );
    await Promise.all(crew.slots.map((slot) => slot.ready()));
    return crew;
  }

  get slots(): WorkerSlot[] {
    return [...this.workers, this.spared];
  }

  get producers(): Producer[] {
    return [this.killed, this.lasting];
  }

  lineOf({ store }: Producer): Line {
    return this.lines.find(({ name }) => name === store.name) as Line;
  }

  /** Ends that nobody ordered. */
  get crashes(): string[] {
    return [...this.slots, ...this.producers.map(({ store }) => store)].flatMap(({ crashes }) => crashes);
  }

  /** All that the processes wrote, those of workers when they have ended. */
  get output(): string[] {
    return [
      ...this.slots.flatMap(({ output }) => output),
      ...this.producers.map(({ store }) => store.output),
    ];
  }

  /** The workers in an orderly way. */
  async close(): Promise<void> {
    await Promise.all([
      ...this.slots.map((slot) => slot.close()),
      ...this.producers.map(({ store }) => store.close()),
    ]);
    await Promise.all(this.lines.map((line) => line.end()));
  }
}

function storeOf(line: Line, onQueueUnavailable: 'reject' | 'write-through'): RemoteStore {
  return new RemoteStore(line.name, {
    redis: line.redis.url,
    postgres: line.postgres.url,
    schema: SCHEMA,
    queue: QUEUE,
    enqueueTimeoutMs: ENQUEUE_TIMEOUT_MS,
    maxQueuedBytes: MAX_QUEUED_BYTES,
    onQueueUnavailable,
  });
}
