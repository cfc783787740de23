import type { ConnectedConfig } from '../../src/config.js';
import { HttpListenError } from '../../src/http/listen-error.js';
import type { Scope } from '../../src/http/scope.js';
import { HttpServer } from '../../src/http/server.js';
import { RedisConnection } from '../../src/redis/connection.js';
import { settlesWithin, withDeadline } from '../../src/redis/deadline.js';
import { queueKeys } from '../../src/redis/queue-keys.js';
import { readQueueStats } from '../../src/redis/queue-stats.js';
import { remembered } from '../../src/remembered.js';
import type { CheckpointWriter } from '../../src/writer/checkpoint-writer.js';
import { WriterMetrics } from './metrics.js';
import { ReadinessProbe } from './readiness.js';

export type WorkerHttpConfig = Pick<
  ConnectedConfig,
  'redis' | 'postgres' | 'queue' | 'prefix' | 'schema' | 'table' | 'httpHost'
> & {
  /** 0: a free one. */
  httpPort: number;
  /** Serves what else it is to serve; closed after the server has stopped. */
  guest?: HttpGuest | undefined;
};

/** A part of the server that is loaded only where it is wanted. */
export interface HttpGuest {
  register(server: Scope): void;
  close(): Promise<void>;
}

const CLOSE_MS = 2000;
const REMEMBERED_MS = 1000;
/** A scrape tells the rest all the same, before Prometheus gives it up. */
const QUEUE_TIMEOUT_MS = 2000;

/**
 * Health and metrics of one worker over HTTP: `/healthz`, whether the process lives and its loop turns; `/readyz`, whether it can
 * take saves to PostgreSQL; `/metrics` for Prometheus. Nothing of a checkpoint is served, and nothing can be changed, but by a guest,
 * which has a door of its own.
 */
export class WorkerHttp {
  readonly #http = new HttpServer();
  readonly #readiness: ReadinessProbe;
  readonly #redis: RedisConnection;
  #closing: Promise<void> | undefined;

  private constructor(
    private readonly writer: CheckpointWriter,
    private readonly config: WorkerHttpConfig,
  ) {
    this.#readiness = new ReadinessProbe(writer, config);
    const keys = queueKeys(config);
    this.#redis = new RedisConnection(config.redis, keys, 'commands');
    const read = () =>
      withDeadline(
        performance.now() + QUEUE_TIMEOUT_MS,
        readQueueStats(this.#redis, keys),
        'reading the queue',
      );
    const readQueue = remembered(REMEMBERED_MS, () => read().catch(() => undefined));
    this.#routes(new WriterMetrics(writer, config.queue, readQueue));
  }

  /** Listens before the writer starts, so that a start that takes long can be told from one that hangs. @throws HttpListenError */
  static async start(writer: CheckpointWriter, config: WorkerHttpConfig): Promise<WorkerHttp> {
    const http = new WorkerHttp(writer, config);
    const { httpHost: host, httpPort: port } = config;
    try {
      config.guest?.register(http.#http.root);
      await http.#http.listen({ host, port });
      return http;
    } catch (error) {
      await http.close();
      throw new HttpListenError(host, port, (error as NodeJS.ErrnoException).code ?? 'not possible');
    }
  }

  /** Where it listens, as a URL. */
  get url(): string {
    return this.#http.origin;
  }

  /** Ends what is under way, and never takes longer than a few seconds. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await settlesWithin(this.#http.close(), CLOSE_MS);
    this.#redis.close();
    await Promise.all([this.#readiness.close(), this.config.guest?.close()]);
  }

  #routes(metrics: WriterMetrics): void {
    const { root } = this.#http;
    root.get('/healthz', (_, reply) => {
      const { state } = this.writer;
      return reply.code(state === 'ended' ? 503 : 200).send({ alive: state !== 'ended', worker: state });
    });
    root.get('/readyz', async (_, reply) => {
      const readiness = await this.#readiness.look();
      return reply.code(readiness.ready ? 200 : 503).send(readiness);
    });
    root.get('/metrics', async (_, reply) =>
      reply.type(metrics.registry.contentType).send(await metrics.text()),
    );
    root.otherwise((_, reply) => reply.code(404).send({ error: 'not found', paths: PATHS }));
  }
}

const PATHS = ['/healthz', '/readyz', '/metrics'];
