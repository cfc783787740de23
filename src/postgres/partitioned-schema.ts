import type { TableNames } from './identifiers.js';
import { ID_COLUMNS } from './partitioned-table.js';

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
  const { checkpoints, ids, quotedSchema, table, partitionBy } = names;
  const [moved, noted] = ['moved', 'noted'].map((end) => `${quotedSchema}."${table}_${end}"`);
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
    CREATE TABLE IF NOT EXISTS ${names.fallback} PARTITION OF ${checkpoints} DEFAULT;
    CREATE INDEX IF NOT EXISTS "idx_${table}_execution_id" ON ${checkpoints} (execution_id, timestamp, version);
    CREATE INDEX IF NOT EXISTS "idx_${table}_timestamp" ON ${checkpoints} (timestamp);

    CREATE TABLE IF NOT EXISTS ${ids} (
      id TEXT PRIMARY KEY,
      execution_id TEXT NOT NULL,
      timestamp TIMESTAMPTZ NOT NULL,
      version INTEGER NOT NULL,
      write_seq BIGINT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS "idx_${table}_ids" ON ${ids} (execution_id);
    TRUNCATE ${ids};
    INSERT INTO ${ids} (${columns}) SELECT ${columns} FROM ${checkpoints};

    -- Planned once for all rows: planning costs twice as much as deleting.
    CREATE OR REPLACE FUNCTION ${moved}() RETURNS trigger LANGUAGE plpgsql
      SET plan_cache_mode = force_generic_plan AS $$
    BEGIN
      DELETE FROM ${checkpoints} WHERE id = OLD.id AND timestamp = OLD.timestamp;
      RETURN NULL;
    END $$;
    CREATE OR REPLACE TRIGGER moved AFTER UPDATE ON ${ids} FOR EACH ROW
      WHEN (OLD.timestamp <> NEW.timestamp AND pg_trigger_depth() = 0) EXECUTE FUNCTION ${moved}();
    CREATE OR REPLACE TRIGGER deleted AFTER DELETE ON ${ids} FOR EACH ROW
      WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION ${moved}();

    CREATE OR REPLACE FUNCTION ${noted}() RETURNS trigger LANGUAGE plpgsql AS $$
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
    END $$;
    CREATE OR REPLACE TRIGGER inserted AFTER INSERT ON ${checkpoints} FOR EACH ROW
      WHEN (NEW.write_seq = 0) EXECUTE FUNCTION ${noted}();
    CREATE OR REPLACE TRIGGER updated AFTER UPDATE ON ${checkpoints} FOR EACH ROW
      WHEN (NEW.write_seq = OLD.write_seq) EXECUTE FUNCTION ${noted}();
    CREATE OR REPLACE TRIGGER deleted AFTER DELETE ON ${checkpoints} FOR EACH ROW EXECUTE FUNCTION ${noted}();`;
}
