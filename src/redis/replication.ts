import type { Cluster, Redis } from 'ioredis';
import { QueueUnavailableError } from '../errors.js';
import type { QueueKeys } from './queue-keys.js';

/** Redis is to say how far it came before nobody waits for it any more. */
const MARGIN_MS = 50;

/**
 * Resolves when so many replicas have confirmed all that was written before over this connection. If that one was lost meanwhile it means
 * nothing: ask its epoch. What is sent behind it over the same connection waits too.
 * @param deadline in the milliseconds of `Date.now()`
 * @throws QueueUnavailableError where they are too few
 */
export async function replicated(
  client: Redis | Cluster,
  { sequence }: QueueKeys,
  replicas: number,
  deadline: number,
): Promise<void> {
  // 0 would be for ever.
  const timeoutMs = Math.max(1, deadline - Date.now() - MARGIN_MS);
  // WAIT names no key: the one before it leads a Cluster to the queue's master, and the connection over which the writes went.
  const replies = (await client.pipeline().exists(sequence).wait(replicas, timeoutMs).exec()) ?? [];
  for (const [error] of replies) if (error) throw error;
  const confirmed = Number(replies[1]?.[1]);
  if (confirmed < replicas) {
    const message = `Redis has it, but only ${confirmed} of ${replicas} replicas have confirmed it in time`;
    throw new QueueUnavailableError(message, { refused: true });
  }
}
