import type { Database, TextRow } from '../postgres/database.js';
import type { TableNames } from '../postgres/identifiers.js';
import { PARTITIONED_BY } from '../postgres/partitioned-schema.js';
import { SCHEMA_VERSION } from '../postgres/schema.js';
import { type Check, error, ok, type Verdict, warning } from './finding.js';
import { onlyRow } from './postgres-checks.js';
import type { TableSubject } from './table-checks.js';

/**
 * What stores, workers and migrations need and the role of DATABASE_URL may not have. PostgreSQL's catalog is asked by names, for
 * `to_regclass` fails where the role may not use the schema.
 */
export const PRIVILEGE_CHECKS: ReadonlyArray<Check<TableSubject>> = [
  { name: 'privileges.database', look: ofDatabase },
  { name: 'privileges.schema', look: ofSchemas },
];

/** Also of the tables themselves, unless they are another program's. */
export const TABLE_PRIVILEGE_CHECKS: ReadonlyArray<Check<TableSubject>> = [
  { name: 'privileges.owner', look: owner },
  {
    name: 'privileges.checkpoints',
    look: ({ names, ...of }) => ofTables(of, [names.checkpoints, names.ids]),
  },
  { name: 'privileges.tombstones', look: ({ names, ...of }) => ofTables(of, [names.tombstones]) },
  { name: 'privileges.migrations', look: ({ names, ...of }) => ofTables(of, [names.migrations], LEDGER) },
];

/** As `TABLE_PRIVILEGE_CHECKS`, of the LangGraph checkpointer's. */
export const GRAPH_PRIVILEGE_CHECK: Check<TableSubject> = { name: 'privileges.langgraph', look: ofGraph };

/** Of the role of CKPT_READ_DATABASE_URL. */
export const REPLICA_PRIVILEGE_CHECK: Check<{ replica: Database; names: TableNames }> = {
  name: 'privileges.replica',
  look: ofReplica,
};

/** A privilege that is missing. */
interface Lack {
  readonly privileges: string;
  /** As GRANT names it. */
  readonly on: string;
  /** What does not work without it. */
  readonly consequence: string;
}

const ROWS = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'];
/** Whoever adds to it owns it. */
const LEDGER = ['SELECT'];

async function ofDatabase({ database, names }: TableSubject): Promise<Verdict> {
  const row = await onlyRow(
    database,
    `SELECT quote_ident(current_user) AS role, quote_ident(current_database()) AS database,
       has_database_privilege(current_database(), 'TEMPORARY') AS temporary,
       has_database_privilege(current_database(), 'CREATE')
         OR EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS schema,
       coalesce((SELECT has_language_privilege(oid, 'USAGE') FROM pg_language WHERE lanname = 'plpgsql'), false) AS plpgsql`,
    [names.schema],
  );
  const on = `DATABASE ${row.database}`;
  const lacks: Lack[] = [];
  if (row.temporary !== 't') {
    const consequence = 'workers cannot stage a batch, so nothing that is saved is committed';
    lacks.push({ privileges: 'TEMPORARY', on, consequence });
  }
  if (row.schema !== 't') {
    lacks.push({
      privileges: 'CREATE',
      on,
      consequence: `the schema ${names.quotedSchema} cannot be created`,
    });
  }
  if (row.plpgsql !== 't') {
    const consequence = 'delete and clear fail, and so does what LangGraph saves';
    lacks.push({ privileges: 'USAGE', on: 'LANGUAGE plpgsql', consequence });
  }
  return verdictOn(lacks, row.role, 'temporary tables may be created');
}

async function ofSchemas({ database, names, graph, families }: TableSubject): Promise<Verdict> {
  const { made } = await checkpointTable(database, names.checkpoints);
  const { version, foreign } = families.checkpoints;
  const creates = made || (!foreign && version !== undefined && version < SCHEMA_VERSION);
  const rows = await database.query(
    `SELECT quote_ident(n.nspname) AS schema, w.creates, quote_ident(current_user) AS role,
       has_schema_privilege(n.oid, 'USAGE') AS usage, has_schema_privilege(n.oid, 'CREATE') AS create
       FROM (VALUES ($1, NULL, $2::boolean), ($3, $4, false)) AS w (schema, used_where, creates)
       JOIN pg_namespace n ON n.nspname = (parse_ident(w.schema))[1]
      WHERE used_where IS NULL OR EXISTS (
        SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = (parse_ident(used_where))[2])`,
    [names.quotedSchema, creates, graph.quotedSchema, graph.ledger],
  );
  const lacks: Lack[] = [];
  for (const { schema, creates, usage, create } of rows) {
    const on = `SCHEMA ${schema}`;
    if (usage !== 't') {
      lacks.push({ privileges: 'USAGE', on, consequence: 'nothing in it can be read or written' });
    }
    if (creates === 't' && create !== 't') {
      const what = made ? 'partitions' : 'tables';
      lacks.push({ privileges: 'CREATE', on, consequence: `its ${what} cannot be made` });
    }
  }
  return verdictOn(lacks, rows[0]?.role, rows.length === 0 ? 'it is not there yet' : 'may be used');
}

/** Changes of tables, and making their partitions, are for their owner alone. */
async function owner({ database, names, families }: TableSubject): Promise<Verdict> {
  const { checkpoints } = families;
  const { owner, owns, role, made } = await checkpointTable(database, names.checkpoints);
  if (owner === undefined) return ok('there are no tables yet');
  if (owns) return ok('the tables may be changed');
  const todo = `GRANT ${owner} TO ${role}; or run "ckpt init" as ${owner}, again with each release${made ? ', and each month' : ''}.`;
  if (checkpoints.version !== undefined && checkpoints.version < SCHEMA_VERSION) {
    return error(`${names.label} has to be changed, and belongs to ${owner}: ${role} may not`, todo);
  }
  if (made) {
    return warning(
      `partitions of ${names.label} cannot be made, for it belongs to ${owner}: later rows lie in the default partition`,
      todo,
    );
  }
  return ok(`not needed: the tables are up to date, and belong to ${owner}`);
}

/** Those of the tables that are there. */
async function ofTables(
  { database }: Pick<TableSubject, 'database'>,
  tables: readonly string[],
  privileges: readonly string[] = ROWS,
): Promise<Verdict> {
  const rows = await database.query(
    `SELECT w.name, quote_ident(current_user) AS role,
       array_to_string(ARRAY(SELECT p FROM unnest($2::text[]) AS p WHERE NOT has_table_privilege(c.oid, p)), ', ') AS missing
       FROM unnest($1::text[]) AS w (name)
       JOIN pg_namespace n ON n.nspname = (parse_ident(w.name))[1]
       JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = (parse_ident(w.name))[2]`,
    [tables, privileges],
  );
  const lacks = rows
    .filter(({ missing }) => missing)
    .map(({ name, missing }) => ({
      privileges: missing as string,
      on: name as string,
      consequence: missing?.includes('SELECT')
        ? 'stores and workers fail'
        : 'reads work, and nothing that is saved or deleted is',
    }));
  return verdictOn(
    lacks,
    rows[0]?.role,
    rows.length === 0 ? 'it is not there yet' : `${privileges.join(', ')} granted`,
  );
}

async function ofGraph({ database, graph }: TableSubject): Promise<Verdict> {
  const ledger = await ofTables({ database }, [graph.ledger], LEDGER);
  if (ledger.severity !== 'ok') return ledger;
  return ofTables({ database }, [graph.checkpoints, graph.blobs, graph.writes, graph.tombstones]);
}

async function ofReplica({ replica, names }: { replica: Database; names: TableNames }): Promise<Verdict> {
  const tables = [names.checkpoints, names.ids, names.tombstones];
  try {
    const { severity, seen, todo } = await ofTables({ database: replica }, tables, ['SELECT']);
    if (severity === 'ok') return ok(seen);
    return warning(`${seen}; reads go to the primary`, `At the primary: ${todo}`);
  } catch {
    return warning('not known', 'See postgres.replica.');
  }
}

/** Whose the checkpoint table is, and whether its partitions are made here. */
async function checkpointTable(
  database: Database,
  name: string,
): Promise<{ owner?: string; owns: boolean; role: string; made: boolean }> {
  const [row]: TextRow[] = await database.query(
    `SELECT quote_ident(pg_get_userbyid(c.relowner)) AS owner, quote_ident(current_user) AS role,
       pg_has_role(c.relowner, 'USAGE') AS owns,
       c.relkind = 'p' AND coalesce(obj_description(c.oid, 'pg_class') LIKE $2 || '%', false) AS made
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = (parse_ident($1))[1] AND c.relname = (parse_ident($1))[2]`,
    [name, PARTITIONED_BY],
  );
  const { owner, role, owns, made } = row ?? {};
  return { ...(owner != null && { owner }), owns: owns === 't', role: role ?? '', made: made === 't' };
}

function verdictOn(lacks: readonly Lack[], role: string | null | undefined, granted: string): Verdict {
  if (lacks.length === 0) return ok(granted);
  const seen = lacks.map(({ privileges, on, consequence }) => `${privileges} on ${on}: ${consequence}`);
  const grants = lacks.map(({ privileges, on }) => `GRANT ${privileges} ON ${on} TO ${role};`);
  return error(`${role} lacks ${seen.join('; ')}`, grants.join(' '));
}
