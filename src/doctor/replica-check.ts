import type { Database, TextRow } from '../postgres/database.js';
import { type Check, mebibytes, ok, type Verdict, warning } from './finding.js';
import { reasonOf } from './look.js';
import { onlyRow } from './postgres-checks.js';

/** A read replica and the primary that it should follow. */
export interface ReplicaSubject {
  readonly primary: Database;
  readonly replica: Database;
}

export const REPLICA_CHECK: Check<ReplicaSubject> = { name: 'postgres.replica', look: replica };

/** A replica that is busy is behind by less. */
const BEHIND_SECONDS = 60;

/** $1: where the primary's log was a moment ago. */
const BEHIND = `
  SELECT pg_is_in_recovery() AS standby,
    CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff($1::pg_lsn, pg_last_wal_replay_lsn()) END AS bytes,
    floor(extract(epoch FROM now() - pg_last_xact_replay_timestamp())) AS seconds`;

async function replica({ primary, replica }: ReplicaSubject): Promise<Verdict> {
  const { lsn } = await onlyRow(primary, 'SELECT pg_current_wal_lsn() AS lsn');
  let row: TextRow;
  try {
    row = await onlyRow(replica, BEHIND, [lsn]);
  } catch (cause) {
    return warning(
      `not reached: ${reasonOf(cause)}`,
      'Reads go to the primary meanwhile. See that it runs, and whether CKPT_READ_DATABASE_URL leads to it.',
    );
  }
  if (row.standby !== 't') return ok('it is no standby: reads there are behind nothing');
  const [bytes, seconds] = [Number(row.bytes), Number(row.seconds)];
  if (bytes <= 0) return ok('shows what the primary has committed');
  const seen = `${mebibytes(bytes)} of log behind, what it shows is of ${seconds} s ago`;
  if (seconds < BEHIND_SECONDS) return ok(seen);
  return warning(
    seen,
    'See whether it still receives the log (pg_stat_replication at the primary) and replays it.',
  );
}
