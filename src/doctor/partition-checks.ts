import { storedFunction } from '../postgres/partitioned-table.js';
import { missingPartitions, partitionedBy } from '../postgres/partitions.js';
import { rowEstimateSql } from '../postgres/row-estimate.js';
import { tableKind } from '../postgres/table-statements.js';
import { type Check, error, type Finding, ok, type Verdict, warning } from './finding.js';
import { lookAtAll } from './look.js';
import type { PostgresSubject } from './postgres-checks.js';

const CHECKS: ReadonlyArray<Check<PostgresSubject>> = [
  { name: 'postgres.partitions', look: partitions },
  { name: 'postgres.id-index', look: idIndex },
];

/** Of a checkpoint table that is partitioned; there is nothing to say of any other. */
export async function lookAtPartitions(subject: PostgresSubject, timeoutMs: number): Promise<Finding[]> {
  const { database, names } = subject;
  // Where that cannot be asked, other checks say why.
  const kind = await database.withClient((client) => tableKind(client, names)).catch(() => undefined);
  return kind === 'partitioned' ? lookAtAll(CHECKS, subject, timeoutMs) : [];
}

async function partitions({ database, names }: PostgresSubject): Promise<Verdict> {
  const [{ fallback, period }, missing] = await database.withClient(async (client) => {
    const now = new Date();
    return [await partitionedBy(client, names), await missingPartitions(client, names, { from: now, now })];
  });
  if (fallback === undefined) {
    return error(
      'there is no default partition: a save whose timestamp has no partition of its own waits',
      `CREATE TABLE ${names.fallback} PARTITION OF ${names.checkpoints} DEFAULT; or, if that name is taken by one that was detached, ${period ? 'ckpt init' : 'another name'}.`,
    );
  }
  if (missing.partitions.length > 0) {
    const list = missing.partitions.map(({ name }) => name).join(', ');
    return warning(
      `missing: ${list}; their rows lie in the default partition`,
      'ckpt init, as the owner of the table. A worker that owns it makes them within a minute.',
    );
  }
  return ok(period ? `all that are needed soon are there, by ${period}` : 'somebody else makes them');
}

/** Of more entries, a sample of about so many is looked at: under a second. */
const SAMPLE = 100_000;

async function idIndex({ database, names }: PostgresSubject): Promise<Verdict> {
  const { ids, checkpoints } = names;
  const [estimate] = await database.query(rowEstimateSql(ids));
  const percent = Math.min(100, (100 * SAMPLE) / Math.max(1, Number(estimate?.rows ?? 0)));
  const [row] = await database.query(
    `SELECT count(*) AS seen, count(*) FILTER (WHERE NOT EXISTS (
         SELECT FROM ${checkpoints} c WHERE c.id = k.id AND c.timestamp = k.timestamp)) AS stale
       FROM ${ids} k TABLESAMPLE SYSTEM (${percent})`,
  );
  const [seen, stale] = [Number(row?.seen), Number(row?.stale)];
  const of = percent < 100 ? ` in a sample of ${seen}` : '';
  if (stale === 0) return ok(`no entry without its row${of}`);
  return warning(
    `${stale} entries without a row${of}: a partition was truncated, dropped or detached by hand; saves of these ids are stored as new ones`,
    `They only take room, and may be removed while workers write: DELETE FROM ${ids} k WHERE NOT ${storedFunction(names)}(k.id); Drop partitions by dropPartitions() next time.`,
  );
}
