import { SchemaMismatchError } from '../errors.js';
import { checkGraphTables, GRAPH_SCHEMA_VERSION, graphSchemaVersion } from '../postgres/graph-schema.js';
import { checkTables, SCHEMA_VERSION, schemaVersion } from '../postgres/schema.js';
import { error, type Finding, ok, type Verdict } from './finding.js';
import { lookAt } from './look.js';
import { type PostgresSubject, tableExists } from './postgres-checks.js';

/** What is known of a family of tables. */
export interface FamilyState {
  /** They are ours, or will be, for there are none yet. */
  own: boolean;
  /** They are another program's, or a newer release's: no advice is given on them. Where neither is true, it is not known. */
  foreign: boolean;
  /** Of the schema; undefined while it is not known. */
  version?: number;
}

export interface FamilyStates {
  /** The checkpoint table and those beside it. */
  readonly checkpoints: FamilyState;
  /** Those of the LangGraph checkpointer. */
  readonly graph: FamilyState;
}

const UNKNOWN: FamilyState = { own: false, foreign: false };

/** A family as this release knows it. */
interface Family {
  readonly label: string;
  readonly neededVersion: number;
  /** @throws SchemaMismatchError */
  readonly check: () => Promise<void>;
  /** @throws SchemaMismatchError */
  readonly version: () => Promise<number>;
  /** Makes the tables, or brings them up to date. */
  readonly migrate: string;
  /** Settings that give them another place. */
  readonly place: string;
}

/** Whose the tables are, and of which version. */
export async function lookAtFamilies(
  subject: PostgresSubject,
  timeoutMs: number,
): Promise<{ findings: Finding[]; families: FamilyStates }> {
  const families = { checkpoints: { ...UNKNOWN }, graph: { ...UNKNOWN } };
  const schema = () => lookAtFamily(checkpointFamily(subject), families.checkpoints);
  const langgraph = async () =>
    (await tableExists(subject.database, subject.graph.ledger))
      ? lookAtFamily(graphFamily(subject), families.graph)
      : ok('not in use');
  const findings = await Promise.all([
    lookAt({ name: 'postgres.schema', look: schema }, subject, timeoutMs),
    lookAt({ name: 'postgres.langgraph', look: langgraph }, subject, timeoutMs),
  ]);
  return { findings, families };
}

function checkpointFamily({ database, names }: PostgresSubject): Family {
  return {
    label: names.label,
    neededVersion: SCHEMA_VERSION,
    check: () => checkTables(database, names),
    version: () => schemaVersion(database, names),
    migrate: 'ckpt init',
    place: 'CKPT_SCHEMA, CKPT_TABLE',
  };
}

function graphFamily({ database, graph }: PostgresSubject): Family {
  return {
    label: graph.label,
    neededVersion: GRAPH_SCHEMA_VERSION,
    check: () => checkGraphTables(database, graph),
    version: () => graphSchemaVersion(database, graph),
    migrate: 'Call setup() of QueuedPostgresSaver.',
    place: 'CKPT_LANGGRAPH_SCHEMA',
  };
}

/** @param state filled in with what is found out, as far as that goes */
async function lookAtFamily(family: Family, state: FamilyState): Promise<Verdict> {
  const { label, neededVersion, check, version, migrate, place } = family;
  const foreign = await mismatchOf(check);
  if (foreign !== undefined) {
    state.foreign = true;
    return error(
      foreign,
      `It belongs to another program: leave it as it is, and give checkpoint-queue another place (${place}).`,
    );
  }
  state.own = true;
  const newer = await mismatchOf(async () => {
    state.version = await version();
  });
  if (newer !== undefined) {
    Object.assign(state, { own: false, foreign: true });
    return error(newer, 'Run the release that made the tables, or a newer one.');
  }
  const found = state.version;
  if (found === neededVersion) return ok(`${label} has schema version ${found}`);
  const seen = found === 0 ? `${label} is missing or incomplete` : `${label} has version ${found}`;
  return error(`${seen}; this release needs version ${neededVersion}`, migrate);
}

/** The message of the SchemaMismatchError that the work throws. */
async function mismatchOf(work: () => Promise<void>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (cause) {
    if (cause instanceof SchemaMismatchError) return cause.message;
    throw cause;
  }
}
