import type { MinimalQueue } from 'bullmq';
import type { Cluster, Redis } from 'ioredis';
import type { Logger } from '../logger.js';
import type { Database } from '../postgres/database.js';
import { type DeadLetterQueue, oldestSequenceOf } from '../redis/dead-letter-queue.js';
import type { QueueKeys } from '../redis/queue-keys.js';
import type { ClockOffset } from './clock-offset.js';
import { LostChunks } from './lost-chunks.js';
import { LostJobs } from './lost-jobs.js';
import { LostLetters } from './lost-letters.js';
import type { Chore } from './maintenance.js';
import { OrphanSweep } from './orphan-sweep.js';
import type { Sink } from './sink.js';
import { recoverStalled } from './stalled-recovery.js';
import { UnlistedJobs } from './unlisted-jobs.js';

const RECOVERY_INTERVAL_MS = 60_000;
/** Reads of the latest wait meanwhile. */
const LOST_INTERVAL_MS = 1000;
const UNLISTED_INTERVAL_MS = 5000;
const ORPHAN_INTERVAL_MS = 5 * 60_000;
const SINK_INTERVAL_MS = 60_000;

export interface ChoreOptions {
  /** The running BullMQ worker. */
  queue: () => MinimalQueue | undefined;
  client: Redis | Cluster;
  keys: QueueKeys;
  deadLetters: DeadLetterQueue;
  database: Database;
  sinks: readonly Sink[];
  tombstoneDays: number;
  clocks: Pick<ClockOffset, 'get'>;
  logger: Logger;
}

export interface WriterChores {
  readonly chores: Chore[];
  /** Lets go of what they have opened. */
  close(): Promise<void>;
}

/** What a writer does now and then beside its work. Every replica does all of it: each is harmless to do twice. */
export function writerChores(options: ChoreOptions): WriterChores {
  const { queue, client, keys, deadLetters, database, sinks, tombstoneDays, clocks, logger } = options;
  const recover = async () => {
    const running = queue();
    const recovered = running ? await recoverStalled(running, client, keys) : 0;
    if (recovered > 0) logger.warn({ recovered }, 'jobs that were failed as stalled are back in the queue');
  };
  const chunks = new LostChunks(client, keys, sinks, logger);
  const letters = new LostLetters(client, deadLetters, sinks, logger);
  const lost = [
    new LostJobs(client, keys, (jobIds) => chunks.bringBack(jobIds)),
    new LostJobs(client, deadLetters.keys, (jobIds) => letters.bringBack(jobIds)),
  ];
  const unlisted = new UnlistedJobs(client, keys, logger);
  const sweeps = [keys, deadLetters.keys].map((swept) => new OrphanSweep(client, swept));
  const maintain = async (sink: Sink) => {
    const oldestSequence = await oldestSequenceOf(client, keys);
    await sink.maintain?.(database, { tombstoneDays, oldestSequence, clocks: await clocks.get() });
  };
  return {
    chores: [
      { intervalMs: RECOVERY_INTERVAL_MS, run: recover },
      ...lost.map((jobs) => ({ intervalMs: LOST_INTERVAL_MS, run: () => jobs.look() })),
      { intervalMs: UNLISTED_INTERVAL_MS, run: () => unlisted.look() },
      ...sweeps.map((sweep) => ({ intervalMs: ORPHAN_INTERVAL_MS, run: () => sweep.sweep() })),
      ...sinks.map((sink) => ({ intervalMs: SINK_INTERVAL_MS, run: () => maintain(sink) })),
    ],
    close: () => chunks.close(),
  };
}
