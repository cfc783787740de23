import type { PgClient } from './pg-types.js';

/** A result row with every column as PostgreSQL printed it: independent of the application's type parsers. */
export type TextRow = Record<string, string | null>;

const AS_TEXT = { getTypeParser: () => (value: string) => value };

export async function queryRows(client: PgClient, text: string, values: unknown[] = []): Promise<TextRow[]> {
  const result = await client.query<TextRow>({ text, values, types: AS_TEXT });
  return result.rows;
}
