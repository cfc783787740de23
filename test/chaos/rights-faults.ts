import { type Arena, REDIS_USER } from './arena.js';
import type { Chance } from './chance.js';
import { type Fault, lasting, persistently } from './fault.js';

/** What producers or workers cannot do without. */
const COMMANDS = ['xadd', 'evalsha', 'eval', 'bzpopmin', 'rpoplpush', 'get', 'zadd', 'hmset'];

/** The Redis user of workers and producers loses a right, and has it again after some seconds. */
export function rightsFaults({ client }: Arena, chance: Chance): (() => Fault)[] {
  const set = (rule: string) => persistently(() => client.call('ACL', 'SETUSER', REDIS_USER, rule));
  return [
    () => {
      const command = chance.oneOf(COMMANDS);
      const ms = chance.whole(1000, 6000);
      return {
        kind: 'redis-right-lost',
        detail: `${command}, for ${ms} ms`,
        run: async (signal) => {
          try {
            await set(`-${command}`);
            await lasting(ms, signal);
          } finally {
            await set(`+${command}`);
          }
        },
      };
    },
  ];
}
