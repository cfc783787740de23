import type { FaultyProxy } from '../faults/faulty-proxy.js';
import type { Chance } from './chance.js';
import { type Fault, lasting } from './fault.js';
import type { Line } from './line.js';

/** What a reply is lost to: of PostgreSQL the commit of a batch, of Redis a script, as adding and finishing a job are. */
const LOST_REPLIES_FROM = { postgres: 'COMMIT', redis: 'evalsha' } as const;
const CUT_EVERY_MS = 200;

/** All faults of the network, with what a seed draws for them. */
export function networkFaults(lines: readonly Line[], chance: Chance): (() => Fault)[] {
  const place = () => {
    const struck = chance.percent(30) ? [...lines] : [chance.oneOf(lines)];
    const side = chance.oneOf(['redis', 'postgres'] as const);
    const names = struck.length === 1 ? struck[0]?.name : 'all';
    return { side, proxies: struck.map((line) => line[side]), where: `${names} to ${side}` };
  };
  return [
    () => {
      const { proxies, where } = place();
      const [toServer, toClient] = [chance.whole(10, 200), chance.whole(10, 200)];
      const ms = chance.whole(1000, 5000);
      return {
        kind: 'network-latency',
        detail: `${where}: ${toServer} and ${toClient} ms, for ${ms} ms`,
        run: (signal) =>
          forAWhile(ms, signal, proxies, {
            begin: (proxy) => proxy.delay({ toServer, toClient }),
            end: (proxy) => proxy.delay({ toServer: 0, toClient: 0 }),
          }),
      };
    },
    () => {
      const { proxies, where } = place();
      const how = chance.oneOf(['close', 'reset'] as const);
      const times = chance.whole(1, 5);
      return {
        kind: 'network-cut',
        detail: `${where}: ${how}, ${times} times`,
        run: async (signal) => {
          for (let time = 0; time < times; time++) {
            for (const proxy of proxies) proxy.cut(how);
            await lasting(CUT_EVERY_MS, signal);
          }
        },
      };
    },
    () => {
      const { proxies, where } = place();
      const direction = chance.oneOf([[], ['toServer'], ['toClient']] as const);
      const goesOn = chance.percent(50);
      const ms = chance.whole(1000, 7000);
      return {
        kind: 'network-stall',
        detail: `${where}: ${direction[0] ?? 'both ways'} for ${ms} ms, then ${goesOn ? 'it goes on' : 'reset'}`,
        run: (signal) =>
          forAWhile(ms, signal, proxies, {
            begin: (proxy) => proxy.stall(...direction),
            end: (proxy) => {
              if (!goesOn) proxy.cut('reset');
              proxy.resume();
            },
          }),
      };
    },
    () => {
      const { proxies, side, where } = place();
      const ms = chance.whole(500, 3000);
      return {
        kind: 'network-lost-replies',
        detail: `${where}: for ${ms} ms, then reset`,
        run: (signal) =>
          forAWhile(ms, signal, proxies, {
            begin: (proxy) => void proxy.swallowRepliesFrom(LOST_REPLIES_FROM[side]),
            end: async (proxy) => {
              proxy.cut('reset');
              await proxy.open();
            },
          }),
      };
    },
    () => {
      const { proxies, where } = place();
      const ms = chance.whole(500, 5000);
      return {
        kind: 'network-refused',
        detail: `${where}: for ${ms} ms`,
        run: (signal) =>
          forAWhile(ms, signal, proxies, {
            begin: (proxy) => proxy.refuse('reset'),
            end: (proxy) => proxy.open(),
          }),
      };
    },
  ];
}

async function forAWhile(
  ms: number,
  signal: AbortSignal,
  proxies: readonly FaultyProxy[],
  { begin, end }: Record<'begin' | 'end', (proxy: FaultyProxy) => void | Promise<void>>,
): Promise<void> {
  try {
    await Promise.all(proxies.map(begin));
    await lasting(ms, signal);
  } finally {
    await Promise.all(proxies.map(end));
  }
}
