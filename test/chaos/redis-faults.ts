import type { Arena } from './arena.js';
import type { Chance } from './chance.js';
import { type Fault, lasting } from './fault.js';

/** All faults of Redis, with what a seed draws for them. */
export function redisFaults({ redis, client }: Arena, chance: Chance): (() => Fault)[] {
  return [
    () => ({
      kind: 'redis-kill',
      detail: 'kill -9, started again',
      run: async () => {
        await redis.kill('SIGKILL');
        await redis.restart();
      },
    }),
    () => {
      const ms = chance.whole(1000, 9000);
      const how = chance.oneOf(['SIGKILL', 'SIGTERM'] as const);
      return {
        kind: 'redis-down',
        detail: `${how}, for ${ms} ms`,
        run: async (signal) => {
          await redis.kill(how);
          await lasting(ms, signal);
          await redis.restart();
        },
      };
    },
    () => {
      const ms = chance.whole(500, 6000);
      return {
        kind: 'redis-frozen',
        detail: `SIGSTOP for ${ms} ms`,
        run: async (signal) => {
          await redis.kill('SIGSTOP');
          await lasting(ms, signal);
          await redis.kill('SIGCONT');
        },
      };
    },
    () => {
      const times = chance.whole(1, 5);
      return {
        kind: 'redis-client-kill',
        detail: `all connections, ${times} times`,
        run: async (signal) => {
          for (let time = 0; time < times; time++) {
            await client.call('CLIENT', 'KILL', 'TYPE', 'NORMAL', 'SKIPME', 'yes');
            await lasting(100, signal);
          }
        },
      };
    },
  ];
}
