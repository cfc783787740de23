import { setTimeout as delay } from 'node:timers/promises';
import { CheckpointQueueError, DeadLetters } from '../../src/index.js';
import { type Arena, QUEUE } from './arena.js';
import type { Chance } from './chance.js';
import type { Tally } from './tally.js';

const PAUSE_MS = { min: 2000, max: 6000 };
const LETTERS = 5;

/** Replays some dead letters now and then. They are refused again: each has to be there once all the same. */
export async function runReplays(
  arena: Arena,
  chance: Chance,
  tally: Tally,
  signal: AbortSignal,
): Promise<void> {
  const letters = new DeadLetters({ redis: arena.redis.url, queue: QUEUE });
  try {
    while (!signal.aborted) {
      await delay(chance.whole(PAUSE_MS.min, PAUSE_MS.max), undefined, { signal }).catch(() => {});
      try {
        const ids = (await letters.list({ limit: LETTERS })).map(({ deadLetterId }) => deadLetterId);
        await letters.replay({ ids, wait: false });
        tally.count('replay');
      } catch (error) {
        const { code } = error as { code?: string };
        tally.failed('replay', code ?? 'UNFORESEEN');
        if (!(error instanceof CheckpointQueueError) || code !== 'QUEUE_UNAVAILABLE')
          tally.unforeseen.push(`replay: ${code ?? 'UNFORESEEN'} ${String(error)}`);
      }
    }
  } finally {
    await letters.close();
  }
}
