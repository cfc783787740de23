import type { Logger } from '../logger.js';
import { settlesWithin, timeLeft } from '../redis/deadline.js';

/** What a writer shuts down. */
export interface ShutdownParts {
  /** Settles when what is in hand is committed or given back. */
  readonly finished: Promise<unknown>;
  readonly inHand: () => number;
  readonly redisReady: () => boolean;
  /** Gives what is in hand back to the queue, which settles `finished` while Redis answers. */
  giveUp(): void;
  /** Lets go of what waits for a Redis that is away. */
  abandon(): void;
  /** Closes what asks Redis: it is not waited for while Redis is away. */
  closeQueues(): Promise<unknown>;
  closeDatabase(): Promise<unknown>;
  readonly logger: Logger;
}

/** After the deadline, in all: for giving jobs back and closing connections. */
const GRACE_MS = 2000;

/** With nothing in hand, a Redis that has been away for so many looks in a row is not waited for. */
const LOOK_MS = 250;
const LOOKS_AWAY = 4;

/**
 * Closes a writer within its deadline and a grace. BullMQ waits for ever for jobs in flight, and for a Redis that is away, so the deadline
 * is kept here.
 */
export async function shutDown(parts: ShutdownParts, deadlineMs: number): Promise<void> {
  const { finished, inHand, redisReady, logger } = parts;
  const left = timeLeft(deadlineMs);
  if (!(await finishes(parts, left))) {
    parts.giveUp();
    const givenBack = redisReady() && (await settlesWithin(finished, left(GRACE_MS)));
    if (!givenBack) {
      const jobs = inHand();
      if (jobs === 0) logger.warn({}, 'closed without Redis; no job was in hand');
      else
        logger.warn(
          { jobs },
          'closed with jobs in hand; they come back to the queue when their locks expire',
        );
      parts.abandon();
    }
  }
  const closing = parts.closeQueues();
  closing.catch(() => {}); // what Redis is not told, it forgets by itself
  if (redisReady()) await settlesWithin(closing, left(GRACE_MS));
  await settlesWithin(parts.closeDatabase(), left(GRACE_MS));
}

/** Whether all is finished in time. Without a job in hand and without Redis there is nothing that could be. */
async function finishes(
  { finished, inHand, redisReady }: ShutdownParts,
  left: () => number,
): Promise<boolean> {
  for (let away = 0; away < LOOKS_AWAY; away = inHand() === 0 && !redisReady() ? away + 1 : 0) {
    if (await settlesWithin(finished, Math.min(LOOK_MS, left()))) return true;
    if (left() === 0) return false;
  }
  return false;
}
