import type { Cluster, Redis } from 'ioredis';

/** What a Redis says of itself. Of a cluster, it is one of its nodes that says it. */
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

export async function readServerInfo(client: Redis | Cluster): Promise<RedisServerInfo> {
  const fields = parseInfo(await client.info());
  const count = (name: string) => Number(fields.get(name) ?? 0);
  return {
    version: fields.get('redis_version') ?? 'unknown',
    server: fields.get('server_name') ?? 'redis',
    role: fields.get('role') ?? 'unknown',
    evictionPolicy: fields.get('maxmemory_policy') ?? 'unknown',
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
