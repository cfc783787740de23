import { InvalidConfigError } from '../errors.js';
import type { PgClient } from './pg-types.js';
import { queryRows } from './rows.js';

/** Of JSON, and so of checkpoints: in any other encoding some of their characters cannot be stored. */
export const ENCODING = 'UTF8';

/** SQL that returns the encoding of the database, `server`, and of the session, `client`. */
export const ENCODINGS = `
  SELECT current_setting('server_encoding') AS server, current_setting('client_encoding') AS client`;

/** Refuses a database, or a session, that is not in UTF-8. Asks once: all connections of a pool lead to one database, by one configuration. */
export class EncodingGuard {
  #passed = false;

  /** @param field the option that names the database */
  constructor(private readonly field: string) {}

  /** The work, and before it the question. The work throws InvalidConfigError where the encoding is another one. */
  before<T>(work: (client: PgClient) => Promise<T>): (client: PgClient) => Promise<T> {
    if (this.#passed) return work;
    return async (client) => {
      await this.#ask(client);
      this.#passed = true;
      return work(client);
    };
  }

  async #ask(client: PgClient): Promise<void> {
    const [found] = await queryRows(client, ENCODINGS);
    if (found?.server !== ENCODING) {
      throw new InvalidConfigError(
        this.field,
        `leads to a database with the encoding ${found?.server}, which lacks characters that checkpoints may hold; it must be ${ENCODING}. ` +
          `Create another database: CREATE DATABASE … ENCODING '${ENCODING}' TEMPLATE template0`,
      );
    }
    if (found.client !== ENCODING) {
      throw new InvalidConfigError(
        this.field,
        `opens sessions with the client_encoding ${found.client}; it must be ${ENCODING}. Remove that setting`,
      );
    }
  }
}
