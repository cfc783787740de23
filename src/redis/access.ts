import type { Cluster, Redis } from 'ioredis';
import { RedisAccessError } from '../errors.js';

const RIGHTS_PAGE = 'docs/operations.md lists the rights of each Redis user';

/**
 * What a reply says of the user's rights or password; undefined where it is about something else. Nothing else of the reply is repeated,
 * for it may hold names and values.
 */
export function accessErrorOf(error: unknown): RedisAccessError | undefined {
  // Of a transaction: why EXEC had nothing to run. Where the connection is lost, the error of EXEC is itself among them.
  const { previousErrors = [] } = (error ?? {}) as { previousErrors?: unknown[] };
  for (const each of [...previousErrors, error]) {
    const refusal = refusalIn(each);
    if (refusal) return refusal;
  }
  return undefined;
}

function refusalIn(error: unknown): RedisAccessError | undefined {
  if (error instanceof RedisAccessError) return error;
  const { message } = (error ?? {}) as { message?: unknown };
  if (typeof message !== 'string') return undefined;
  if (message.includes('WRONGPASS') || message.includes('ERR invalid password')) {
    return new RedisAccessError('Redis refuses this user and password (WRONGPASS)');
  }
  if (message.includes('NOAUTH')) return new RedisAccessError('Redis wants a user and password (NOAUTH)');
  if (!/\bNOPERM\b|user executing the script can't/.test(message)) return undefined;
  // Also where the rule is for a subcommand: `config|get`.
  const [, command] = /run the '([\w|.-]{1,64})' (?:command|subcommand)/.exec(message) ?? [];
  if (command !== undefined) return missingCommand(command);
  const what = isAboutKeys(message) ? "this queue's keys" : 'a command';
  return new RedisAccessError(`The Redis user may not use ${what} (NOPERM): ${RIGHTS_PAGE}`);
}

/** And not about the command. */
export function isAboutKeys(message: string): boolean {
  return /\bkeys?\b/.test(message);
}

export function missingCommand(command: string): RedisAccessError {
  const problem = `The Redis user may not run ${command} (NOPERM): grant +${command}; ${RIGHTS_PAGE}`;
  return new RedisAccessError(problem, command);
}

/**
 * ioredis asks INFO whether the server is still loading, BullMQ for its version; without an answer BullMQ's workers never begin. Where
 * the user may not run it, HELLO, which needs no right, tells the version.
 */
export function answerWithoutInfo(client: Redis | Cluster): void {
  const prototype = Object.getPrototypeOf(client) as Redis;
  Object.assign(client, {
    info: (...args: unknown[]) => {
      const callback = typeof args.at(-1) === 'function' ? (args.pop() as Callback) : undefined;
      const reply = (prototype.info.apply(client, args as []) as Promise<string>).catch((error: unknown) => {
        if (accessErrorOf(error)?.command !== 'info') throw error;
        return greeting(client);
      });
      if (!callback) return reply;
      return reply.then(
        (text) => callback(null, text),
        (error) => callback(error),
      );
    },
  });
}

type Callback = (error: unknown, text?: string) => void;

/** In the form of INFO. */
async function greeting(client: Redis | Cluster): Promise<string> {
  const reply = (await client.call('HELLO')) as unknown[] | Map<string, unknown> | Record<string, unknown>;
  const field = (name: string): string => {
    // A list of names and values, or a map: which of them depends on the protocol.
    if (Array.isArray(reply)) return String(reply[reply.indexOf(name) + 1]);
    return String(reply instanceof Map ? reply.get(name) : reply[name]);
  };
  return `redis_version:${field('version')}\r\nserver_name:${field('server')}\r\nrole:${field('role')}`;
}

/**
 * While a connection that queues nothing is refused for its user or password, commands are rejected with that, and not with ioredis'
 * "Stream isn't writeable", which looks like an outage.
 */
export function rejectWithRefusal(
  client: Redis | Cluster,
  refusal: () => RedisAccessError | undefined,
): void {
  const sendCommand = client.sendCommand.bind(client) as (...args: unknown[]) => unknown;
  Object.assign(client, {
    // A Cluster passes more than these, for its pipelines.
    sendCommand: (command: Parameters<Redis['sendCommand']>[0], ...others: unknown[]) => {
      const refused = refusal();
      // The handshake goes on while the status is `connect`.
      if (refused === undefined || client.status === 'ready' || client.status === 'connect') {
        return sendCommand(command, ...others);
      }
      command.reject(refused);
      return command.promise;
    },
  });
}
