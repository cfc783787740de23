import { partitionTriggers } from '../postgres/partitioned-schema.js';
import { type Check, error, ok, type Verdict } from './finding.js';
import type { TableSubject } from './table-checks.js';

/** What others have put on our tables, or ours have lost: it decides about rows beside the statements that write them. */
export const RULE_CHECKS: ReadonlyArray<Check<TableSubject>> = [
  { name: 'postgres.row-security', look: rowSecurity },
  { name: 'postgres.triggers', look: triggers },
];

/**
 * Of each table, whether policies apply to this role, and whether they let all rows through: for reading, inserting, updating and
 * deleting one that lets all through, and none that takes any away again.
 */
const ROW_SECURITY = `
  SELECT w.name, quote_ident(current_user) AS role,
      NOT EXISTS (SELECT FROM applying WHERE applying.polrelid = c.oid AND NOT polpermissive AND NOT (reads AND writes))
      AND NOT EXISTS (
        SELECT FROM unnest('{r,a,w,d}'::"char"[]) AS command WHERE NOT EXISTS (
          SELECT FROM applying WHERE applying.polrelid = c.oid AND polpermissive AND polcmd IN ('*', command)
             AND (reads OR command = 'a') AND (writes OR command IN ('r', 'd')))) AS open
    FROM unnest($1::text[]) AS w (name) JOIN pg_class c ON c.oid = to_regclass(w.name)
   WHERE row_security_active(c.oid) ORDER BY w.name`;

const APPLYING_POLICIES = `
  WITH applying AS (
    SELECT p.polrelid, p.polpermissive, p.polcmd,
        coalesce(pg_get_expr(p.polqual, p.polrelid) = 'true', p.polcmd = 'a') AS reads,
        coalesce(pg_get_expr(coalesce(p.polwithcheck, p.polqual), p.polrelid) = 'true', false) AS writes
      FROM pg_policy p
     WHERE p.polroles = '{0}' OR EXISTS (SELECT FROM unnest(p.polroles) AS r WHERE r <> 0 AND pg_has_role(r, 'USAGE')))`;

async function rowSecurity({ database, tables }: TableSubject): Promise<Verdict> {
  const active = await database.query(`${APPLYING_POLICIES}${ROW_SECURITY}`, [tables]);
  if (active.length === 0) return ok('does not apply to this role');
  const closed = active.filter(({ open }) => open !== 't');
  if (closed.length === 0) return ok('its policies let all rows through');
  const names = closed.map(({ name }) => name).join(', ');
  const policies = closed.map(
    ({ name, role }) =>
      `CREATE POLICY checkpoint_queue ON ${name} TO ${role} USING (true) WITH CHECK (true);`,
  );
  return error(
    `applies to ${closed[0]?.role} on ${names}: rows may be hidden from reads and deletes, and saves refused`,
    `Let this role through, and see that no restrictive policy applies to it: ${policies.join(' ')} Or take it off: ALTER TABLE … DISABLE ROW LEVEL SECURITY.`,
  );
}

const TRIGGERS_OF = `
  SELECT w.name AS "table", t.tgname AS name, t.tgenabled IN ('O', 'A') AS enabled
    FROM unnest($1::text[]) AS w (name) JOIN pg_trigger t ON t.tgrelid = to_regclass(w.name)
   WHERE NOT t.tgisinternal ORDER BY 1, 2`;

async function triggers({ database, names, tables }: TableSubject): Promise<Verdict> {
  const [kind] = await database.query('SELECT relkind FROM pg_class WHERE oid = to_regclass($1)', [
    names.checkpoints,
  ]);
  const found = await database.query(TRIGGERS_OF, [tables]);
  const ours = kind?.relkind === 'p' ? partitionTriggers(names) : [];
  const lost: string[] = [];
  const todo: string[] = [];
  for (const { name, table, create } of ours) {
    const trigger = found.find((one) => one.name === name && one.table === table);
    if (trigger?.enabled === 't') continue;
    lost.push(`${name} of ${table} is ${trigger ? 'disabled' : 'missing'}`);
    todo.push(trigger ? `ALTER TABLE ${table} ENABLE TRIGGER ${name};` : create);
  }
  if (lost.length > 0) {
    return error(
      `${lost.join('; ')}: partitions and ids of a partitioned table get out of line`,
      todo.join(' '),
    );
  }
  const others = found.filter(
    (one) => !ours.some(({ name, table }) => one.name === name && one.table === table),
  );
  if (others.length === 0) return ok('none but ours');
  const list = others.map(
    ({ name, table, enabled }) => `${name} of ${table}${enabled === 't' ? '' : ' (disabled)'}`,
  );
  return ok(
    `others have put on: ${list.join(', ')}`,
    'What they raise makes a save a dead letter, or holds its batch.',
  );
}
