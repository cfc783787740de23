import type { Cluster, Redis } from 'ioredis';
import type { Database } from '../postgres/database.js';
import type { TableNames } from '../postgres/identifiers.js';
import type { DeadLetterQueue } from '../redis/dead-letter-queue.js';
import { pendingFloors } from '../redis/pending-floors.js';
import type { Destination, QueueKeys } from '../redis/queue-keys.js';
import { purgeExpired } from './expired-dead-letters.js';
import type { PruneResult } from './prune-options.js';
import { Pruning } from './pruning.js';
import type { RetentionLimits } from './retention-options.js';

/** What a run of the retention has removed. */
export interface RetentionResult extends PruneResult {
  readonly deadLettersPurged: number;
}

/** Where the retention of a queue works. */
export interface RetentionPlace {
  readonly client: Redis | Cluster;
  readonly keys: QueueKeys;
  readonly database: Database;
  readonly names: TableNames;
  /** As jobs and marks name the table. */
  readonly destination: Destination;
  readonly deadLetters: DeadLetterQueue;
}

/** Dead letters first: those that go hold back no checkpoint any more. */
export async function runRetention(
  { client, keys, database, names, destination, deadLetters }: RetentionPlace,
  { deadLettersOlderThan, keepLast, olderThan }: RetentionLimits,
  signal: AbortSignal,
): Promise<RetentionResult> {
  const deadLettersPurged =
    deadLettersOlderThan === undefined
      ? 0
      : await purgeExpired(client, keys, deadLetters, { olderThan: deadLettersOlderThan, signal });
  if (keepLast === undefined && olderThan === undefined) {
    return { pruned: 0, heldBack: 0, interrupted: signal.aborted, deadLettersPurged };
  }
  const pruning = new Pruning(database, names, pendingFloors(client, keys, destination));
  const limits = {
    ...(keepLast !== undefined && { keepLast }),
    ...(olderThan !== undefined && { olderThan }),
  };
  return { ...(await pruning.prune({ ...limits, signal })), deadLettersPurged };
}
