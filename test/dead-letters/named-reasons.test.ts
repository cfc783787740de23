import { describe, expect, it } from 'vitest';
import { type CheckpointInput, type DeadLetter, PostgresCheckpointStore } from '../../src/index.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { tablePlace } from '../faults/raising-table.js';
import { startWriter, testStore } from '../store/place.js';
import { forgedLine, testLetters } from './letters.js';

const SECRET = 'secret-of-the-state';

interface Rule {
  /** SQL, run in the schema of the table. */
  prepare?: string;
  fields?: Partial<CheckpointInput>;
  /** Of the writer's connections. */
  options?: string;
}

const poisoned = { state: { poison: SECRET } };

/** Makes a dead letter of one save, by the rule, beside a good one. */
async function letterOf({ prepare = '', fields = poisoned, options }: Rule): Promise<DeadLetter> {
  const place = await tablePlace();
  await place.pool.query(`SET search_path = ${place.schema}; ${prepare}; RESET search_path`);
  const store = testStore(place);
  await store.saveBatch([newCheckpoint({ nodeName: 'good' }), newCheckpoint(fields)]);
  await startWriter(place, { postgres: { connectionString: place.postgres, ...(options && { options }) } });
  await store.flush().catch(() => {});
  const [letter, ...others] = await testLetters(place).list();
  expect(others).toEqual([]);
  return letter as DeadLetter;
}

function trigger(does: string): string {
  return `
    CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF NEW.state ? 'poison' THEN ${does}; END IF; RETURN NEW; END $$;
    CREATE TRIGGER spoil BEFORE INSERT ON checkpoints FOR EACH ROW EXECUTE FUNCTION spoil()`;
}

describe('a dead letter names what PostgreSQL names', () => {
  it.each<[what: string, Rule, Partial<DeadLetter>]>([
    [
      'the constraint of a CHECK',
      { prepare: `ALTER TABLE checkpoints ADD CONSTRAINT "No poison" CHECK (NOT state ? 'poison')` },
      {
        constraint: 'No poison',
        reason: 'PostgreSQL error 23514: check violation (constraint No poison, table checkpoints)',
      },
    ],
    [
      'the column of a NOT NULL',
      { prepare: trigger('NEW.node_name := NULL') },
      {
        column: 'node_name',
        reason: 'PostgreSQL error 23502: not null violation (column node_name, table checkpoints)',
      },
    ],
    [
      'the index of a unique key',
      {
        prepare: `INSERT INTO checkpoints VALUES ('taken', 'other', '${SECRET}', '{}', NULL, now(), 1);
          CREATE UNIQUE INDEX one_node ON checkpoints (node_name)`,
        fields: { nodeName: SECRET },
      },
      { constraint: 'one_node' },
    ],
    [
      'a foreign key that is checked at COMMIT',
      {
        prepare: `CREATE TABLE nodes (name TEXT PRIMARY KEY); INSERT INTO nodes VALUES ('good');
          ALTER TABLE checkpoints ADD CONSTRAINT known_node FOREIGN KEY (node_name) REFERENCES nodes INITIALLY DEFERRED`,
        fields: { nodeName: SECRET },
      },
      { constraint: 'known_node' },
    ],
    [
      'the column whose value COPY refuses',
      {
        fields: { state: JSON.parse('['.repeat(2000) + ']'.repeat(2000)) },
        options: '-c max_stack_depth=100kB',
      },
      { column: 'state' },
    ],
  ])('%s', async (_, rule, named) => {
    const letter = await letterOf(rule);
    expect(letter).toMatchObject(named);
    expect(JSON.stringify(letter)).not.toContain(SECRET);
  });

  it.each([
    [
      'an error that a trigger raises',
      `RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation', CONSTRAINT = NEW.state->>'poison',
        COLUMN = NEW.state->>'poison', TABLE = NEW.state->>'poison', DATATYPE = NEW.state->>'poison'`,
    ],
    [
      'an error in what a trigger does',
      `EXECUTE format('CREATE TEMP TABLE %1$I (%1$I int CONSTRAINT %1$I CHECK (%1$I > 1)); INSERT INTO %1$I VALUES (1)', NEW.state->>'poison')`,
    ],
  ])('nothing of %s, which may hold values', async (_, does) => {
    const letter = await letterOf({ prepare: trigger(does) });
    expect(letter.sqlState).toBe('23514');
    expect(letter).not.toHaveProperty('constraint');
    expect(letter).not.toHaveProperty('column');
    expect(letter.reason).toBe('PostgreSQL error 23514: check violation');
    expect(JSON.stringify(letter)).not.toContain(SECRET);
  });
});

it('a direct write is refused with the name as well', async () => {
  const { postgres, schema, pool } = await tablePlace();
  await pool.query(`ALTER TABLE ${schema}.checkpoints ADD CONSTRAINT no_poison CHECK (NOT state ? 'poison')`);
  const store = new PostgresCheckpointStore({ postgres, schema });
  const error = await store.save(newCheckpoint(poisoned)).catch((reason) => reason);
  expect(error).toMatchObject({ name: 'DatabaseError', sqlState: '23514', constraint: 'no_poison' });
  await store.close();
});

describe('a line of an export', () => {
  it('brings the names back', async () => {
    const letters = testLetters(await tablePlace());
    const place = await tablePlace();
    const line = forgedLine(place, { constraint: 'No poison', column: 'state' });
    await letters.import([line]);
    const { payload, ...letter } = (await letters.get('d-1', { payload: true })) as DeadLetter;
    expect(letter).toMatchObject({ constraint: 'No poison', column: 'state' });
    const lines = [];
    for await (const exported of letters.export()) lines.push(exported);
    expect(lines).toMatchObject([{ constraint: 'No poison', column: 'state' }]);
  });

  it('of a former release, without names, is taken as it is', async () => {
    const place = await tablePlace();
    const letters = testLetters(place);
    await letters.import([forgedLine(place)]);
    expect(await letters.get('d-1')).not.toHaveProperty('constraint');
  });

  it.each([['constraint'], ['column']])('whose %s is no name is refused', async (field) => {
    const place = await tablePlace();
    for (const value of ['', 'two\nlines', '\u001b[2J', 'x'.repeat(64), 1, null]) {
      await expect(
        testLetters(place).import([forgedLine(place, { [field]: value } as never)]),
      ).rejects.toMatchObject({ code: 'INVALID_DEAD_LETTER', line: 1, field });
    }
  });
});
