import type { Writable } from 'node:stream';
import pg from 'pg';
import type { PgClient, PgPool } from '../../src/postgres/database.js';
import type { Failpoints } from './failpoint.js';

/** A COPY as `pg-copy-streams` hands it to a client. */
type CopyStream = Writable & { readonly text: string };

/** A pool whose batches pass the failpoints. A transaction without a COPY, as a migration or a delete, passes none. */
export class FailingPool implements PgPool {
  readonly #pool: pg.Pool;

  constructor(
    config: pg.PoolConfig,
    private readonly failpoints: Failpoints,
  ) {
    this.#pool = new pg.Pool(config);
    this.#pool.on('error', () => {}); // an idle connection was lost; the next query takes another
  }

  async connect(): Promise<PgClient> {
    const client = await this.#pool.connect();
    const batch = new BatchOnClient(client, this.failpoints);
    return new Proxy<PgClient>(client, {
      get(target, name) {
        if (name === 'query') return batch.query;
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  end(): Promise<void> {
    return this.#pool.end();
  }
}

/** One client, and how far the batch is that it carries. */
class BatchOnClient {
  #stage: 'none' | 'copied' | 'merging' = 'none';

  constructor(
    private readonly client: pg.PoolClient,
    private readonly failpoints: Failpoints,
  ) {}

  readonly query = ((query: unknown, ...rest: unknown[]) => {
    return isCopy(query) ? this.#copy(query) : this.#statement(query as string, rest as never[]);
  }) as pg.PoolClient['query'];

  /** Given back at once, as `pg` does; it waits with what is written to it until it is submitted. */
  #copy(stream: CopyStream): CopyStream {
    stream.once('finish', () => {
      this.#stage = 'copied';
    });
    if (this.failpoints.has('mid_copy')) this.#stopHalfway(stream);
    this.failpoints.reach('before_copy').then(
      () => this.client.query(stream as never),
      // Not destroyed, which would wait for the server that was not asked.
      (error) => stream.emit('error', error),
    );
    return stream;
  }

  #stopHalfway(stream: CopyStream): void {
    const end = stream.end.bind(stream) as (bytes: Buffer) => CopyStream;
    const endHalfway = (bytes: Buffer) => {
      const half = bytes.length >> 1;
      stream.write(bytes.subarray(0, half), () => {
        this.failpoints.reach('mid_copy').then(
          () => end(bytes.subarray(half)),
          (error) => stream.destroy(error),
        );
      });
      return stream;
    };
    Object.assign(stream, { end: endHalfway });
  }

  async #statement(query: string | { text: string }, rest: never[]): Promise<unknown> {
    const text = typeof query === 'string' ? query : query.text;
    if (/^(BEGIN|ROLLBACK)\b/.test(text)) this.#stage = 'none';
    if (this.#stage === 'copied') {
      this.#stage = 'merging';
      await this.failpoints.reach('after_copy');
    }
    const result = await this.client.query(query as string, ...rest);
    if (text === 'COMMIT' && this.#stage === 'merging') {
      this.#stage = 'none';
      await this.failpoints.reach('after_commit');
    }
    return result;
  }
}

function isCopy(query: unknown): query is CopyStream {
  return typeof (query as { submit?: unknown } | null)?.submit === 'function';
}
