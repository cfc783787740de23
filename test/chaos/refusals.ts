import { SCHEMA } from './arena.js';

/** What refuses a record whose state says so, by the value of `poison` in the state: the SQLSTATE that it is refused with. */
export const REFUSALS = { constraint: '23514', trigger: 'P0001', policy: '42501' } as const;

export type Refusal = keyof typeof REFUSALS;

export const REFUSAL_NAMES = Object.keys(REFUSALS) as Refusal[];

const TABLE = `${SCHEMA}.checkpoints`;
const isPoison = (state: string, refusal: Refusal) => `${state}->>'poison' IS NOT DISTINCT FROM '${refusal}'`;

/** Statements that make the table refuse such records. Its owner is under the policy too. */
export const REFUSE = `
  ALTER TABLE ${TABLE} ADD CONSTRAINT refuses_poison CHECK (NOT ${isPoison('state', 'constraint')});
  CREATE FUNCTION ${SCHEMA}.refuses_poison() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF ${isPoison('NEW.state', 'trigger')} THEN RAISE EXCEPTION 'refused: %', NEW.state; END IF;
    RETURN NEW;
  END $$;
  CREATE TRIGGER refuses_poison BEFORE INSERT OR UPDATE ON ${TABLE}
    FOR EACH ROW EXECUTE FUNCTION ${SCHEMA}.refuses_poison();
  ALTER TABLE ${TABLE} ENABLE ROW LEVEL SECURITY;
  ALTER TABLE ${TABLE} FORCE ROW LEVEL SECURITY;
  CREATE POLICY refuses_poison ON ${TABLE} USING (true) WITH CHECK (NOT ${isPoison('state', 'policy')})`;

/** From then on nothing is refused any more. */
export const ACCEPT = `
  ALTER TABLE ${TABLE} DROP CONSTRAINT refuses_poison;
  DROP FUNCTION ${SCHEMA}.refuses_poison CASCADE;
  DROP POLICY refuses_poison ON ${TABLE};
  ALTER TABLE ${TABLE} NO FORCE ROW LEVEL SECURITY;
  ALTER TABLE ${TABLE} DISABLE ROW LEVEL SECURITY`;
