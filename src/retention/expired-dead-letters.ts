import type { Cluster, Redis } from 'ioredis';
import { type DeadLetterQueue, readDeadLetters } from '../redis/dead-letter-queue.js';
import type { QueueKeys } from '../redis/queue-keys.js';
import { askWithin } from '../redis/retry.js';

const TIMEOUT_MS = 10_000;
const DOING = 'purging dead letters';
/** Dead letters in memory at once. */
const PAGE = 500;

/**
 * Gives up, for good, the dead letters that were last refused longer ago. By rank in their index, page by page: what is removed
 * makes room, what stays is passed over.
 * @returns how many. @throws QueueUnavailableError
 */
export async function purgeExpired(
  client: Redis | Cluster,
  keys: QueueKeys,
  queue: DeadLetterQueue,
  { olderThan, signal }: { olderThan: number; signal: AbortSignal },
): Promise<number> {
  const ask = <T>(work: () => Promise<T>) => askWithin(TIMEOUT_MS, work, DOING);
  const before = Date.now() - olderThan;
  let removed = 0;
  for (let passed = 0; !signal.aborted; ) {
    const ids = await ask(() => client.zrange(queue.keys.chunks, String(passed), String(passed + PAGE - 1)));
    const letters = await ask(() => readDeadLetters(client, keys, ids));
    const expired = letters.filter(({ job }) => job.lastFailedAt < before);
    removed += await ask(() => queue.remove(expired));
    passed += ids.length - expired.length;
    if (ids.length < PAGE) break;
  }
  return removed;
}
