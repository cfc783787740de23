import type { Cluster, Redis } from 'ioredis';
import { CheckpointQueueError, type RedisAccessError } from '../errors.js';
import { accessErrorOf, isAboutKeys, missingCommand } from './access.js';
import type { RedisConnection } from './connection.js';
import { settlesWithin } from './deadline.js';
import type { QueueKeys } from './queue-keys.js';
import { Script } from './script.js';

/**
 * How each command is tried without effect: on a key that holds a string (`$`), whose type most of them refuse, or on one that does not
 * exist (`-`).
 */
const TRIALS = {
  get: 'get -',
  exists: 'exists -',
  time: 'time',
  del: 'del -',
  unlink: 'unlink -',
  rename: 'rename - -',
  persist: 'persist -',
  incr: 'incr $',
  hget: 'hget - f',
  hmget: 'hmget - f',
  hexists: 'hexists - f',
  hgetall: 'hgetall -',
  hset: 'hset $ f v',
  hmset: 'hmset $ f v',
  hdel: 'hdel - f',
  hincrby: 'hincrby $ f 1',
  llen: 'llen -',
  lrange: 'lrange - 0 0',
  lpos: 'lpos - v',
  lpush: 'lpush $ v',
  rpush: 'rpush $ v',
  rpoplpush: 'rpoplpush - -',
  lrem: 'lrem - 0 v',
  ltrim: 'ltrim - 0 0',
  sadd: 'sadd $ v',
  srem: 'srem - v',
  scard: 'scard -',
  smembers: 'smembers -',
  zadd: 'zadd $ 0 v',
  zrem: 'zrem - v',
  zcard: 'zcard -',
  zscore: 'zscore - v',
  zrange: 'zrange - 0 0',
  zrevrange: 'zrevrange - 0 0',
  zrangebyscore: 'zrangebyscore - 0 0',
  zrevrangebyscore: 'zrevrangebyscore - 0 0',
  zrangebylex: 'zrangebylex - - +',
  zremrangebyrank: 'zremrangebyrank - 0 0',
  zremrangebyscore: 'zremrangebyscore - 0 0',
  zpopmin: 'zpopmin -',
  zscan: 'zscan - 0',
  xadd: 'xadd $ * f v',
  xtrim: 'xtrim - MAXLEN 0',
  pttl: 'pttl -',
  pexpire: 'pexpire - 1',
  expire: 'expire - 1',
} as const satisfies Readonly<Record<string, string>>;

type Tried = keyof typeof TRIALS;
/** No script may run it. */
const BLOCKING = 'bzpopmin';
type Command = Tried | typeof BLOCKING;

/** What a store needs; with those of `COMMON_COMMANDS`. */
export const PRODUCER_COMMANDS: readonly Command[] = (
  'get exists time unlink rename persist incr hget hmget hgetall hexists hset hmset llen lpush ' +
  'zadd zrem zcard zscore zrange zrangebyscore zrangebylex xadd'
).split(' ') as Tried[];
/** What a worker needs; with those of `COMMON_COMMANDS`. */
export const WORKER_COMMANDS: readonly Command[] = [...(Object.keys(TRIALS) as Tried[]), BLOCKING];
/** What both need, tried by the way in which the others are. */
export const COMMON_COMMANDS = ['eval', 'evalsha', 'multi', 'exec', 'set'] as const;

/**
 * KEYS: string, missing key. ARGV: one command each, its parts separated by spaces. Returns the refusal of each, in order; of the first
 * one alone where that fails.
 */
const TRY = new Script(`
  local refusals = {}
  local function try(parts)
    local reply = redis.pcall(unpack(parts))
    local refusal = type(reply) == 'table' and reply.err
    refusals[#refusals + 1] = type(refusal) == 'string' and refusal or ''
    return refusal
  end
  if try({'set', KEYS[1], 'x', 'EX', '1'}) then return refusals end
  for i = 1, #ARGV do
    local parts = {}
    for part in string.gmatch(ARGV[i], '%S+') do
      parts[#parts + 1] = part == '$' and KEYS[1] or part == '-' and KEYS[2] or part
    end
    try(parts)
  end
  redis.pcall('unlink', KEYS[1])
  return refusals`);

const NO_SCRIPT = '0'.repeat(40);

/**
 * Tries each command without effect, all in one round trip.
 * @throws RedisAccessError naming the first that the user may not run; what else fails, as a lost connection does
 */
export async function checkRights(
  client: Redis | Cluster,
  { jobPrefix }: QueueKeys,
  commands: readonly Command[],
): Promise<void> {
  const string = `${jobPrefix}ckpt-rights`;
  const missing = `${jobPrefix}ckpt-rights-none`;
  const tried = commands.filter((command) => command !== BLOCKING);
  const transaction = client.multi().exists(missing);
  // Within a transaction it does not block, and not for long where the transaction is refused.
  if (commands.includes(BLOCKING)) transaction.bzpopmin(missing, 0.001);
  const attempts = await Promise.allSettled([
    tryInScript(client, string, missing, tried),
    attempted(client.evalsha(NO_SCRIPT, 1, string)),
    // Outside of a transaction it is an error that changes nothing.
    client.isCluster || attempted(client.call('exec')),
    attempted(transaction.exec()).catch((error) => leaveTransaction(client, error)),
  ]);
  for (const attempt of attempts) if (attempt.status === 'rejected') throw attempt.reason;
}

/** Where EXEC alone is refused, the connection would stay in the transaction, and answer nothing else any more. */
async function leaveTransaction(client: Redis | Cluster, refusal: unknown): Promise<never> {
  if (accessErrorOf(refusal)?.command === 'exec') {
    await client.call('discard').catch((error) => accessErrorOf(error) && client.disconnect(true));
  }
  throw refusal;
}

async function tryInScript(
  client: Redis | Cluster,
  string: string,
  missing: string,
  commands: readonly Tried[],
): Promise<void> {
  const trials = commands.map((command) => TRIALS[command]);
  const refusals = (await TRY.run(client, [string, missing], trials)) as string[];
  const names = ['set', ...commands] as const;
  const [failed] = refusals;
  // Out of memory, for instance: nothing was tried.
  if (failed && !accessErrorOf({ message: failed }))
    throw new CheckpointQueueError('UNEXPECTED', `Redis tried no command: ${failed.split(' ', 1)[0]}`);
  for (const [index, message] of refusals.entries()) {
    const error = accessErrorOf({ message });
    // Redis 6 does not name the command, and a refused key is no refused command.
    if (error)
      throw error.command === undefined && !isAboutKeys(message)
        ? missingCommand(names[index] as string)
        : error;
  }
}

async function attempted(reply: Promise<unknown>): Promise<void> {
  try {
    await reply;
  } catch (error) {
    const refusal = accessErrorOf(error);
    if (refusal) throw refusal;
    if ((error as Error).name !== 'ReplyError') throw error;
  }
}

/** How long a worker that starts waits for the answer of a Redis that is reached and slow; milliseconds. */
const PATIENCE_MS = 2000;

/**
 * As `checkRights`, and resolves where Redis is away: that is waited for later, and no reason not to start.
 * @throws RedisAccessError
 */
export async function assertRights(
  connection: RedisConnection,
  keys: QueueKeys,
  commands: readonly Command[],
): Promise<void> {
  const { client } = connection;
  const checking = checkRights(client, keys, commands);
  let failed: (() => void) | undefined;
  const failing = new Promise<void>((resolve) => {
    failed = resolve;
    client.once('error', resolve);
  });
  let refusal: RedisAccessError | undefined;
  const checked = checking.catch((error) => {
    refusal = accessErrorOf(error);
  });
  await settlesWithin(Promise.race([checked, failing]), PATIENCE_MS);
  if (failed) client.off('error', failed);
  // The connection knows the first reason, where it was not let in at all.
  refusal = connection.refusal ?? refusal;
  if (refusal) throw refusal;
}
