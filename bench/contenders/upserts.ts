import { PostgresCheckpointStore } from '../../src/index.js';
import { POOL_SIZE } from '../plan.js';
import type { Contender } from './contender.js';
import { measureDirect } from './direct.js';
import { openUpserts } from './upsert.js';

export const upserts: Contender = {
  name: 'upserts',
  about: `one upsert per save into the same table, pool of ${POOL_SIZE}`,
  async measure(run) {
    const { databaseUrl, schema } = run.place.address;
    const tables = new PostgresCheckpointStore({ postgres: databaseUrl, schema });
    await tables.initSchema().finally(() => tables.close());
    const { upsert, close } = openUpserts(run.place.address);
    try {
      return await measureDirect(run, upsert, (saves) => run.place.expectRows(schema, 'checkpoints', saves));
    } finally {
      await close();
    }
  },
};
