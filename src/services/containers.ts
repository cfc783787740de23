import { get } from 'node:http';
import { join } from 'node:path';
import { INITDB_FLAGS, POSTGRES_SETTINGS, redisArguments } from './settings.js';

const POSTGRES_IMAGE = 'postgres:18-alpine';
const REDIS_IMAGE = 'redis:8-alpine';
/** A local engine answers in milliseconds. */
const PING_TIMEOUT_MS = 1_000;

/** A server in a container. Testcontainers removes it when this process ends without stopping it. */
export interface ContainerService {
  url: string;
  stop(): Promise<void>;
}

/**
 * Whether a Docker engine answers where testcontainers would look for one. Asked first, because testcontainers takes
 * seconds to load and to find out that there is none.
 */
export async function dockerAnswers(env: NodeJS.ProcessEnv): Promise<boolean> {
  const answers = await Promise.all(dockerEndpoints(env).map(ping));
  return answers.includes(true);
}

function dockerEndpoints(env: NodeJS.ProcessEnv): URL[] {
  if (env.DOCKER_HOST) return URL.canParse(env.DOCKER_HOST) ? [new URL(env.DOCKER_HOST)] : [];
  const home = env.HOME
    ? [join(env.HOME, '.docker/run/docker.sock'), join(env.HOME, '.docker/desktop/docker.sock')]
    : [];
  const runtime = env.XDG_RUNTIME_DIR ? [join(env.XDG_RUNTIME_DIR, 'docker.sock')] : [];
  return ['/var/run/docker.sock', ...runtime, ...home].map((path) => new URL(`unix://${path}`));
}

function ping(endpoint: URL): Promise<boolean> {
  const address =
    endpoint.protocol === 'unix:'
      ? { socketPath: decodeURIComponent(endpoint.pathname) }
      : { host: endpoint.hostname, port: endpoint.port || '2375' };
  return new Promise((resolve) => {
    // Any answer will do: an engine that wants TLS refuses this request, but it is there.
    get({ ...address, path: '/_ping', signal: AbortSignal.timeout(PING_TIMEOUT_MS) }, (response) => {
      response.resume();
      resolve(true);
    }).on('error', () => resolve(false));
  });
}

/** Starts PostgreSQL in a container. */
export async function startPostgresContainer(): Promise<ContainerService> {
  const { PostgreSqlContainer } = await import('@testcontainers/postgresql');
  const container = await new PostgreSqlContainer(POSTGRES_IMAGE)
    .withEnvironment({ POSTGRES_INITDB_ARGS: INITDB_FLAGS.join(' ') })
    .withCommand(['postgres', ...POSTGRES_SETTINGS])
    .start();
  return {
    url: container.getConnectionUri(),
    stop: async () => {
      await container.stop();
    },
  };
}

/** Starts Redis in a container. */
export async function startRedisContainer(appendOnly: boolean): Promise<ContainerService> {
  const { RedisContainer } = await import('@testcontainers/redis');
  const container = await new RedisContainer(REDIS_IMAGE)
    .withCommand(['redis-server', ...redisArguments(appendOnly)])
    .start();
  return {
    url: container.getConnectionUrl(),
    stop: async () => {
      await container.stop();
    },
  };
}
