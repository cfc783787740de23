import type pg from 'pg';
import { expectTypeOf, it } from 'vitest';
import type { PgClient, PgPool, PgPoolConfig, PostgresOption } from '../../src/index.js';

// Checked by the compiler (`npm run typecheck`): the API describes what it takes of `pg` itself, which must stay true.

it('a pool, its clients and the configuration of pg are what the API takes', () => {
  expectTypeOf<pg.Pool>().toExtend<PgPool>();
  expectTypeOf<pg.PoolClient>().toExtend<PgClient>();
  expectTypeOf<pg.PoolConfig>().toExtend<PgPoolConfig>();
  expectTypeOf<pg.PoolConfig>().toExtend<PostgresOption>();
});

it('no option of a pool is missing, and none is made up', () => {
  expectTypeOf<keyof PgPoolConfig>().toEqualTypeOf<keyof pg.PoolConfig>();
});
