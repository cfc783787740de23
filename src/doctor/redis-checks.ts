import type { Cluster, Redis } from 'ioredis';
import { EVICTION_POLICY, type RedisServer, type RedisServerInfo } from '../redis/server-info.js';
import { type Check, error, mebibytes, ok, type Verdict, warning, worstOf } from './finding.js';

/** A Redis, or a Cluster, that answers. */
export interface RedisSubject {
  readonly client: Redis | Cluster;
  /** The one server, or all masters of the Cluster: a failover or a resharding may bring the queue to any of them. */
  readonly servers: readonly RedisServer[];
}

export const REDIS_CHECKS: ReadonlyArray<Check<RedisSubject>> = [
  { name: 'redis.version', look: ofEach(({ info }) => version(info)) },
  { name: 'redis.role', look: ofEach(({ info }) => role(info)) },
  { name: 'redis.eviction-policy', look: ofEach(({ info }) => evictionPolicy(info)) },
  { name: 'redis.persistence', look: ofEach(persistence) },
  { name: 'redis.memory', look: ofEach(({ info }) => memory(info)) },
];

/** The worst of what is seen at the servers, with the address of the one that shows it where there are several. */
function ofEach(
  look: (server: RedisServer) => Verdict | Promise<Verdict>,
): (subject: RedisSubject) => Promise<Verdict> {
  return async ({ servers }) => {
    const verdicts = await Promise.all(
      servers.map(async (server) => {
        const verdict = await look(server);
        return servers.length === 1 ? verdict : { ...verdict, seen: `${server.address}: ${verdict.seen}` };
      }),
    );
    return worstOf(verdicts);
  };
}

const MIN_VERSION = [6, 2] as const;

function version({ server, version: text }: RedisServerInfo): Verdict {
  const seen = `${server} ${text}`;
  const [major = 0, minor = 0] = text.split('.').map(Number);
  const [minMajor, minMinor] = MIN_VERSION;
  if (major > minMajor || (major === minMajor && minor >= minMinor)) return ok(seen);
  return error(seen, `Run Redis ${MIN_VERSION.join('.')} or newer.`);
}

function role({ role: found }: RedisServerInfo): Verdict {
  if (found === 'master') return ok('takes writes');
  return error(`is a ${found}, which takes no writes`, 'Point REDIS_URL to the master.');
}

function evictionPolicy({ evictionPolicy: policy }: RedisServerInfo): Verdict {
  if (policy === EVICTION_POLICY) return ok(policy);
  return error(
    `${policy}: a full Redis drops acknowledged saves`,
    `CONFIG SET maxmemory-policy ${EVICTION_POLICY}, and the same in its configuration. A full Redis then refuses saves instead.`,
  );
}

async function persistence({ client, info }: RedisServer): Promise<Verdict> {
  if (!info.appendOnly) {
    return error(
      'no append-only file: a restart of Redis loses acknowledged saves',
      'CONFIG SET appendonly yes, and the same in its configuration.',
    );
  }
  if (!info.appendOnlyWritten) {
    return error('the append-only file cannot be written', 'See the log and the disk of Redis.');
  }
  const fsync = await appendFsync(client);
  const seen = `append-only file, appendfsync ${fsync}`;
  if (fsync === 'no') {
    return warning(
      `${seen}: a power loss loses what the system had not written, half a minute or so`,
      'CONFIG SET appendfsync everysec, or always, and the same in its configuration.',
    );
  }
  return ok(fsync === 'everysec' ? `${seen}: a power loss may cost about a second` : seen);
}

/** Hosted servers forbid the question. */
async function appendFsync(client: Redis): Promise<string> {
  const [, value] = (await client.config('GET', 'appendfsync').catch(() => [])) as string[];
  return value ?? 'not known';
}

/** Full of `maxmemory`: from here on a burst, or a PostgreSQL that is away for a while, makes saves fail. */
const MEMORY_SHARE = { warning: 0.75, error: 0.9 };
/** Without `maxmemory`, of the machine: rewriting the append-only file may need as much again. */
const UNLIMITED_SHARE = 0.5;

function memory(info: RedisServerInfo): Verdict {
  const { usedMemoryBytes: used, maxMemoryBytes: limit, systemMemoryBytes: system } = info;
  if (limit === 0) return unlimitedMemory(used, system);
  const share = used / limit;
  const seen = `${mebibytes(used)} of maxmemory ${mebibytes(limit)} used (${Math.round(100 * share)} %)`;
  const todo =
    'Redis refuses saves when it is full. Raise maxmemory, start more workers, or look for what else is stored there; CKPT_MAX_QUEUE_DEPTH bounds the queue.';
  if (share >= MEMORY_SHARE.error) return error(seen, todo);
  return share >= MEMORY_SHARE.warning ? warning(seen, todo) : ok(seen);
}

function unlimitedMemory(used: number, system: number): Verdict {
  const seen = `${mebibytes(used)} used, no maxmemory`;
  if (system > 0 && used > UNLIMITED_SHARE * system) {
    return warning(
      `${seen}, on a machine of ${mebibytes(system)}`,
      'Set maxmemory: Redis then refuses saves before the system ends it.',
    );
  }
  return ok(seen, 'With maxmemory set, Redis refuses saves before the system ends it for using too much.');
}
