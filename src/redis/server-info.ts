import type { Cluster, Redis } from 'ioredis';
import type { QueueKeys } from './queue-keys.js';

/** What a Redis says of itself. */
export interface RedisServerInfo {
  /** `7.2.4`; of Valkey, the version of Redis that it is compatible with. */
  readonly version: string;
  /** `redis` or `valkey`. */
  readonly server: string;
  readonly role: string;
  readonly evictionPolicy: string;
  readonly usedMemoryBytes: number;
  /** 0: no limit. */
  readonly maxMemoryBytes: number;
  /** Of the whole machine; 0 where it is not told. */
  readonly systemMemoryBytes: number;
  readonly appendOnly: boolean;
  /** Whether the last write to the append-only file succeeded. */
  readonly appendOnlyWritten: boolean;
}

/** The policy under which Redis refuses writes when it is full, and never drops a key that somebody was promised. */
export const EVICTION_POLICY = 'noeviction';

/** What is not told: the Redis user may not run INFO, or the server leaves it out. */
export const UNKNOWN = 'unknown';

/** A server that takes writes: of a Cluster, one of its masters. */
export interface RedisServer {
  readonly address: string;
  readonly client: Redis;
  readonly info: RedisServerInfo;
}

/** Of the server that has the queue. */
export async function readServerInfo(
  client: Redis | Cluster,
  { sequence }: QueueKeys,
): Promise<RedisServerInfo> {
  if (!client.isCluster) return infoOf(await client.info());
  // The key leads to the node; both are asked of the same one.
  const replies = (await client.pipeline().exists(sequence).info().exec()) ?? [];
  for (const [error] of replies) if (error) throw error;
  return infoOf(replies[1]?.[1] as string);
}

/** Of a client that is connected: the server, or all masters of the Cluster. */
export function readServers(client: Redis | Cluster): Promise<RedisServer[]> {
  const servers = mastersOf(client);
  return Promise.all(
    servers.map(async (server) => {
      const { host, port } = server.options;
      return { address: `${host}:${port}`, client: server, info: infoOf(await server.info()) };
    }),
  );
}

/** Of a client that is connected: the server itself, or those of the Cluster that take writes. */
export function mastersOf(client: Redis | Cluster): Redis[] {
  return client.isCluster ? (client as Cluster).nodes('master') : [client as Redis];
}

function infoOf(text: string): RedisServerInfo {
  const fields = parseInfo(text);
  const count = (name: string) => Number(fields.get(name) ?? 0);
  return {
    version: fields.get('redis_version') ?? UNKNOWN,
    server: fields.get('server_name') ?? 'redis',
    role: fields.get('role') ?? UNKNOWN,
    evictionPolicy: fields.get('maxmemory_policy') ?? UNKNOWN,
    usedMemoryBytes: count('used_memory'),
    maxMemoryBytes: count('maxmemory'),
    systemMemoryBytes: count('total_system_memory'),
    appendOnly: fields.get('aof_enabled') === '1',
    appendOnlyWritten: fields.get('aof_last_write_status') === 'ok',
  };
}

function parseInfo(text: string): Map<string, string> {
  const lines = text.split('\r\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon), line.slice(colon + 1)];
    }),
  );
}
