import { dollarQuoted, literal, quoted, type TableNames } from './identifiers.js';
import { ID_COLUMNS, storedFunction } from './partitioned-table.js';

/** What a table says of itself, as its comment, whose partitions are made here. */
export const PARTITIONED_BY = 'checkpoint-queue: partitioned by ';

/**
 * The tables of checkpoints that are partitioned by `timestamp`. Does no harm where it was run before: the ids are written
 * anew from the rows.
 *
 * Triggers keep rows and ids in line. `moved`: an id whose timestamp changes, or that is deleted, leaves no row behind. `noted`
 * is for other programs: what they delete, insert without a sequence, or change in place is told to the ids, and ends there.
 */
export function partitionedTables(names: TableNames): string {
  const { checkpoints, ids, table, partitionBy } = names;
  const { moved, noted } = triggerFunctions(names);
  const columns = ID_COLUMNS.join(', ');
  const ofNew = ID_COLUMNS.map((column) => `NEW.${column}`).join(', ');
  const rest = ID_COLUMNS.filter((column) => column !== 'id');
  return `
    CREATE TABLE IF NOT EXISTS ${checkpoints} (
      id TEXT NOT NULL,
      execution_id TEXT NOT NULL,
      node_name TEXT NOT NULL,
      state JSONB NOT NULL,
      metadata JSONB,
      timestamp TIMESTAMPTZ NOT NULL,
      version INTEGER NOT NULL,
      write_seq BIGINT NOT NULL DEFAULT 0,
      PRIMARY KEY (id, timestamp)
    ) PARTITION BY RANGE (timestamp);
    ALTER TABLE ${checkpoints} ADD COLUMN IF NOT EXISTS write_seq BIGINT NOT NULL DEFAULT 0;
    ${partitionBy ? `COMMENT ON TABLE ${checkpoints} IS '${PARTITIONED_BY}${partitionBy}';` : ''}
    DO ${dollarQuoted(`
    BEGIN
      IF (SELECT partdefid = 0 FROM pg_partitioned_table WHERE partrelid = to_regclass(${literal(checkpoints)})) THEN
        CREATE TABLE IF NOT EXISTS ${names.fallback} PARTITION OF ${checkpoints} DEFAULT;
      END IF;
    END `)};
    CREATE INDEX IF NOT EXISTS ${quoted(`idx_${table}_execution_id`)} ON ${checkpoints} (execution_id, timestamp, version);
    CREATE INDEX IF NOT EXISTS ${quoted(`idx_${table}_timestamp`)} ON ${checkpoints} (timestamp);

    CREATE TABLE IF NOT EXISTS ${ids} (
      id TEXT PRIMARY KEY,
      execution_id TEXT NOT NULL,
      timestamp TIMESTAMPTZ NOT NULL,
      version INTEGER NOT NULL,
      write_seq BIGINT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS ${quoted(`idx_${table}_ids`)} ON ${ids} (execution_id);
    TRUNCATE ${ids};
    INSERT INTO ${ids} (${columns}) SELECT ${columns} FROM ${checkpoints};

    -- Planned once for all rows: planning costs twice as much as deleting.
    CREATE OR REPLACE FUNCTION ${moved}() RETURNS trigger LANGUAGE plpgsql
      SET plan_cache_mode = force_generic_plan AS ${dollarQuoted(`
    BEGIN
      DELETE FROM ${checkpoints} WHERE id = OLD.id AND timestamp = OLD.timestamp;
      RETURN NULL;
    END `)};
    CREATE OR REPLACE FUNCTION ${noted}() RETURNS trigger LANGUAGE plpgsql AS ${dollarQuoted(`
    BEGIN
      IF TG_OP = 'INSERT' THEN
        INSERT INTO ${ids} (${columns}) VALUES (${ofNew});
      ELSIF TG_OP = 'DELETE' THEN
        DELETE FROM ${ids} WHERE id = OLD.id AND timestamp = OLD.timestamp;
      ELSE
        UPDATE ${ids} SET ${rest.map((column) => `${column} = NEW.${column}`).join(', ')}
         WHERE id = OLD.id AND timestamp = OLD.timestamp;
      END IF;
      RETURN NULL;
    END `)};
    ${partitionTriggers(names)
      .map(({ create }) => create)
      .join('\n    ')}`;
}

/** In two steps, planned once: so the plan goes to the one partition, and is not set up for all of them at each call. @see storedFunction */
export function idsWithoutRow(names: TableNames): string {
  return `
    CREATE OR REPLACE FUNCTION ${storedFunction(names)}(wanted text) RETURNS boolean LANGUAGE plpgsql VOLATILE
      SET plan_cache_mode = force_generic_plan AS ${dollarQuoted(`
    DECLARE
      place timestamptz;
    BEGIN
      SELECT k.timestamp INTO place FROM ${names.ids} k WHERE k.id = wanted;
      RETURN EXISTS (SELECT FROM ${names.checkpoints} c WHERE c.id = wanted AND c.timestamp = place);
    END `)};`;
}

/** A trigger of a partitioned table. */
export interface PartitionTrigger {
  readonly name: string;
  /** Quoted. */
  readonly table: string;
  /** SQL that makes it, also where it is there. */
  readonly create: string;
}

export function partitionTriggers(names: TableNames): PartitionTrigger[] {
  const { checkpoints, ids } = names;
  const { moved, noted } = triggerFunctions(names);
  const trigger = (name: string, event: string, table: string, rest: string) => ({
    name,
    table,
    create: `CREATE OR REPLACE TRIGGER ${name} AFTER ${event} ON ${table} FOR EACH ROW ${rest}();`,
  });
  return [
    trigger(
      'moved',
      'UPDATE',
      ids,
      `WHEN (OLD.timestamp <> NEW.timestamp AND pg_trigger_depth() = 0) EXECUTE FUNCTION ${moved}`,
    ),
    trigger('deleted', 'DELETE', ids, `WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION ${moved}`),
    trigger('inserted', 'INSERT', checkpoints, `WHEN (NEW.write_seq = 0) EXECUTE FUNCTION ${noted}`),
    trigger(
      'updated',
      'UPDATE',
      checkpoints,
      `WHEN (NEW.write_seq = OLD.write_seq) EXECUTE FUNCTION ${noted}`,
    ),
    trigger('deleted', 'DELETE', checkpoints, `EXECUTE FUNCTION ${noted}`),
  ];
}

/** All functions of a partitioned table: a dump of the tables alone leaves them out. */
export function partitionFunctions(names: TableNames): string[] {
  return [...Object.values(triggerFunctions(names)), storedFunction(names)];
}

function triggerFunctions({ quotedSchema, table }: TableNames): { moved: string; noted: string } {
  const [moved, noted] = ['_moved', '_noted'].map((end) => `${quotedSchema}.${quoted(table + end)}`);
  return { moved: moved as string, noted: noted as string };
}
