import { Cluster, type ClusterNode, type ClusterOptions, Redis, type RedisOptions } from 'ioredis';
import { InvalidConfigError } from '../errors.js';
import { REDIS_OPTIONS } from './redis-options.js';

/** How to open what a URL names: a Redis, the master that Sentinels know, or a Cluster. */
export interface ClientOptions {
  readonly redis: RedisOptions;
  readonly cluster: ClusterOptions;
}

const FORMS =
  'must be a URL like redis://user:password@host:6379/0, redis-cluster://user:password@host1:6379,host2:6379 or ' +
  'redis-sentinel://user:password@host1:26379,host2:26379/0?master=mymaster (with rediss for TLS), with # and / in the password as %23 and %2F';
/** The WHATWG parser knows one host alone. */
const SEVERAL_HOSTS =
  /^(rediss?)-(cluster|sentinel):\/\/(?:([^/?#@]*)@)?([^/?#@]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/;
const HOST = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i;
const DEFAULT_PORT = { cluster: 6379, sentinel: 26_379 };
const SENTINEL_PARAMETERS = ['master', 'sentinel_username', 'sentinel_password'];
/** A Sentinel that answers nothing is given up, and the next one asked. */
const SENTINEL_TIMEOUT_MS = 2000;

/** @throws InvalidConfigError; the URL, which may hold a password, is not repeated. */
export function checkedUrl(text: string, field = 'redis'): string {
  settingsOf(text, field);
  return text;
}

/** Connects to what the URL names. @throws InvalidConfigError */
export function openUrl(text: string, options: ClientOptions): Redis | Cluster {
  const settings = settingsOf(text, 'redis');
  if (settings === undefined) return new Redis(text, options.redis);
  if ('nodes' in settings) {
    const redisOptions = { ...settings.auth, ...options.cluster.redisOptions };
    return new Cluster(settings.nodes, { ...options.cluster, redisOptions, dnsLookup: byName });
  }
  return new Redis({ ...settings, ...options.redis });
}

/**
 * Each node is connected to by its name: ioredis would look all names up before and connect to addresses, which a certificate does not
 * name, and to none of them where one name is unknown.
 */
const byName: ClusterOptions['dnsLookup'] = (name, callback) => callback(null, name);

type Auth = Pick<RedisOptions, 'username' | 'password' | 'tls'>;

/** @returns undefined for a single Redis, of which ioredis reads the URL itself */
function settingsOf(
  text: string,
  field: string,
): { nodes: ClusterNode[]; auth: Auth } | RedisOptions | undefined {
  const several = SEVERAL_HOSTS.exec(text);
  if (!several) {
    checkSingle(text, field);
    return undefined;
  }
  const [, scheme, kind, userinfo, hosts = '', path = '', query = ''] = several;
  const refuse = (problem: string) => new InvalidConfigError(field, problem);
  const nodes = hosts.split(',').map((host) => nodeOf(host, DEFAULT_PORT[kind as keyof typeof DEFAULT_PORT]));
  if (nodes.some((node) => node === undefined)) throw refuse(FORMS);
  const auth: Auth = { ...authOf(userinfo, refuse), ...(scheme === 'rediss' && { tls: {} }) };
  const parameters = new URLSearchParams(query);
  if (kind === 'cluster') {
    if (path !== '' && path !== '0') throw refuse('names a database: a Redis Cluster has database 0 alone');
    if (parameters.size > 0) throw refuse('has parameters: the URL of a Redis Cluster knows none');
    return { nodes: nodes as ClusterNode[], auth };
  }
  if (!/^\d*$/.test(path)) throw refuse(FORMS);
  if ([...parameters.keys()].some((name) => !SENTINEL_PARAMETERS.includes(name))) {
    throw refuse(`has a parameter that is none of ${SENTINEL_PARAMETERS.join(', ')}`);
  }
  const name = parameters.get('master');
  if (!name) throw refuse('needs the name that the Sentinels know the master by: ?master=mymaster');
  const sentinelUsername = parameters.get('sentinel_username');
  const sentinelPassword = parameters.get('sentinel_password');
  return {
    ...auth,
    sentinels: nodes as { host: string; port: number }[],
    name,
    db: Number(path),
    ...(sentinelUsername && { sentinelUsername }),
    ...(sentinelPassword && { sentinelPassword }),
    ...(auth.tls && { sentinelTLS: {}, enableTLSForSentinelMode: true }),
    sentinelCommandTimeout: SENTINEL_TIMEOUT_MS,
    // A master that answers nothing closes no connection: the Sentinels tell that there is another one.
    failoverDetector: true,
  };
}

function checkSingle(text: string, field: string): void {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // Node's error holds the whole input.
  }
  const isRedis = url?.protocol === 'redis:' || url?.protocol === 'rediss:';
  if (!url || !isRedis || url.host.includes(',') || url.hash !== '' || !/^\/?\d*$/.test(url.pathname)) {
    throw new InvalidConfigError(field, FORMS);
  }
  // ioredis decodes them, and throws an error that holds the text.
  authOf(`${url.username}:${url.password}`, (problem) => new InvalidConfigError(field, problem));
  // A parameter is not repeated: it may be the end of a password that holds a question mark.
  if ([...url.searchParams.keys()].some((name) => !Object.hasOwn(REDIS_OPTIONS, name))) {
    throw new InvalidConfigError(field, 'has a parameter that is not an option of ioredis');
  }
}

function nodeOf(text: string, defaultPort: number): { host: string; port: number } | undefined {
  const [, address, name, port] = HOST.exec(text) ?? [];
  const host = address ?? name;
  const number = Number(port ?? defaultPort);
  return host === undefined || number < 1 || number > 65_535 ? undefined : { host, port: number };
}

function authOf(userinfo = '', refuse: (problem: string) => InvalidConfigError): Auth {
  const colon = userinfo.indexOf(':');
  const [username, password] =
    colon < 0 ? [userinfo, ''] : [userinfo.slice(0, colon), userinfo.slice(colon + 1)];
  try {
    return {
      ...(username && { username: decodeURIComponent(username) }),
      ...(password && { password: decodeURIComponent(password) }),
    };
  } catch {
    // Its error holds the text.
    throw refuse('has a % in its user or password that starts no code: write it as %25');
  }
}
