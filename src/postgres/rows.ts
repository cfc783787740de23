import type pg from 'pg';

/** What is used of a `pg` client. */
export type PgClient = Pick<pg.PoolClient, 'query' | 'release' | 'on' | 'off'>;

/** A result row with every column as PostgreSQL printed it: independent of the application's type parsers. */
export type TextRow = Record<string, string | null>;

const AS_TEXT = { getTypeParser: () => (value: string) => value };

export async function queryRows(client: PgClient, text: string, values: unknown[] = []): Promise<TextRow[]> {
  const result = await client.query<TextRow>({ text, values, types: AS_TEXT });
  return result.rows;
}
