import type { Database } from '../postgres/database.js';
import type { GraphTableNames } from '../postgres/graph-tables.js';
import type { TableNames } from '../postgres/identifiers.js';
import type { RedisConnection } from '../redis/connection.js';
import type { QueueKeys } from '../redis/queue-keys.js';
import { anyDamaged, damagedText, SequenceRepair } from '../repair/sequence-repair.js';
import { type Check, error, ok, type Verdict } from './finding.js';

export interface SequenceSubject {
  readonly connection: RedisConnection;
  readonly keys: QueueKeys;
  readonly database: Database;
  readonly names: TableNames;
  readonly graph: GraphTableNames;
}

/** Reading them takes about a second. */
const MAX_ROWS = 1_000_000;

export const SEQUENCE_CHECK: Check<SequenceSubject> = { name: 'queue.sequences', look };

async function look(subject: SequenceSubject): Promise<Verdict> {
  const repair = new SequenceRepair(subject);
  try {
    const { tablesRead, ...damaged } = await repair.find(MAX_ROWS);
    if (!anyDamaged(damaged)) {
      const unread = tablesRead ? '' : '; large tables were not read, ckpt repair --dry-run does';
      return ok(`none is ahead of Redis' clock by more than a day${unread}`);
    }
    return error(
      `damaged, or more than a day ahead of Redis' clock: ${damagedText(damaged)}`,
      'Number them anew: ckpt repair. Until then, saves of the same checkpoints may be refused or count as older.',
    );
  } finally {
    await repair.close();
  }
}
