import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { graphTableNames } from '../../src/postgres/graph-tables.js';
import {
  dollarQuoted,
  isLabel,
  labelOf,
  labelOfQuoted,
  literal,
  tableNames,
} from '../../src/postgres/identifiers.js';

const invalid = (field: string) => expect.objectContaining({ code: 'INVALID_CONFIG', field });

/** A name of up to so many bytes that PostgreSQL can take. */
function names(maxBytes: number) {
  return fc
    .string({ unit: 'binary', minLength: 1, maxLength: maxBytes })
    .filter(
      (name) =>
        Buffer.byteLength(name) <= maxBytes && !/\0|\p{Surrogate}/u.test(name) && !name.startsWith('pg_'),
    );
}

describe('tableNames', () => {
  it('quotes what goes into SQL, and leaves plain names as they are', () => {
    expect(tableNames({ schema: 'Mixed', table: 'order$1' })).toMatchObject({
      label: 'Mixed.order$1',
      checkpoints: '"Mixed"."order$1"',
      tombstones: '"Mixed"."order$1_tombstones"',
      staging: '"order$1_staging"',
    });
    expect(tableNames({}).label).toBe('public.checkpoints');
    expect(tableNames({ schema: 'my-app', table: 'a"b' })).toMatchObject({
      label: '"my-app"."a""b"',
      checkpoints: '"my-app"."a""b"',
      tombstones: '"my-app"."a""b_tombstones"',
    });
    expect(graphTableNames('Tenant.1')).toMatchObject({
      label: '"Tenant.1".checkpoints',
      checkpoints: '"Tenant.1".checkpoints',
    });
  });

  it.each(['', 'a\0b', '\ud800', 'x'.repeat(64), 'ä'.repeat(32), 7, null, {}])('refuses %j', (name) => {
    expect(() => tableNames({ schema: name as string })).toThrow(invalid('schema'));
    expect(() => tableNames({ table: name as string })).toThrow(invalid('table'));
    expect(() => graphTableNames(name as string)).toThrow(invalid('schema'));
  });

  it('refuses a schema that PostgreSQL keeps for itself', () => {
    for (const schema of ['pg_', 'pg_catalog', 'pg_temp_1']) {
      expect(() => tableNames({ schema })).toThrow(invalid('schema'));
      expect(() => graphTableNames(schema)).toThrow(/PostgreSQL/);
    }
    expect(tableNames({ schema: 'PG_x', table: 'pg_x' }).label).toBe('PG_x.pg_x');
  });

  it('leaves room for the longest name that is made of a table, in bytes', () => {
    for (const table of ['x'.repeat(52), 'ä'.repeat(26), '😀'.repeat(13)]) {
      expect(() => tableNames({ table })).not.toThrow();
      expect(() => tableNames({ table: `${table}x` })).toThrow(
        /53 bytes; 52 is the limit.*<table>_tombstones/,
      );
    }
    expect(() => tableNames({ schema: 'ä'.repeat(31) })).not.toThrow();
    expect(() => tableNames({ schema: 'ä'.repeat(32) })).toThrow(/64 bytes/);
  });
});

describe('the label of a table', () => {
  it('is of no other table', () => {
    expect(labelOf('a.b', 'c')).not.toBe(labelOf('a', 'b.c'));
    const parts = fc.oneof(names(52), fc.stringMatching(/^[a".]{1,4}$/));
    fc.assert(
      fc.property(parts, parts, parts, parts, (schema, table, otherSchema, otherTable) => {
        const same = schema === otherSchema && table === otherTable;
        expect(labelOf(schema, table) === labelOf(otherSchema, otherTable)).toBe(same);
      }),
    );
  });

  it('follows from the quoted name', () => {
    expect(labelOfQuoted('"a"."b"')).toBe('a.b');
    expect(labelOfQuoted('"a.b"."x""y"')).toBe('"a.b"."x""y"');
    expect(labelOfQuoted('"""a"""."b"')).toBe('"""a""".b');
  });

  it('is known as one', () => {
    fc.assert(fc.property(names(63), names(52), (schema, table) => isLabel(labelOf(schema, table))));
    for (const text of [
      '',
      'a',
      'a.b.c',
      'a b.c',
      '"a.b',
      'a."b"c"',
      '"".a',
      '"\0".a',
      `"${'x'.repeat(300)}".a`,
    ]) {
      expect(isLabel(text)).toBe(false);
    }
  });
});

it('a text in quotes of SQL is doubled where it has to be', () => {
  expect(literal('"a"."b"')).toBe(`'"a"."b"'`);
  expect(literal("it's")).toBe("'it''s'");
  expect(literal("a\\'b")).toBe(` E'a\\\\''b'`);
});

it('no body ends its own dollar quotes', () => {
  expect(dollarQuoted(' BEGIN END ')).toBe('$$ BEGIN END $$');
  expect(dollarQuoted('a$$b')).toBe('$body1$a$$b$body1$');
  expect(dollarQuoted('$$ $body1$')).toBe('$body2$$$ $body1$$body2$');
});
