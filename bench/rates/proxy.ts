import { FaultyProxy } from '../../test/faults/faulty-proxy.js';

/** To the process of a proxy before PostgreSQL, and from it. */
export type ToProxy = { type: 'round-trip'; ms: number } | { type: 'stall' } | { type: 'resume' };
export type FromProxy = { type: 'ready'; url: string };

/** Entry of a process with a proxy before the server that its argument names. It ends with the benchmark. */
const proxy = await FaultyProxy.start(process.argv[2] as string);
process.on('message', (message: ToProxy) => {
  if (message.type === 'round-trip') {
    const toServer = Math.ceil(message.ms / 2);
    proxy.delay({ toServer, toClient: message.ms - toServer });
  } else if (message.type === 'stall') {
    proxy.stall();
  } else {
    proxy.resume();
  }
});
process.on('disconnect', () => process.exit(1));
const ready: FromProxy = { type: 'ready', url: proxy.url };
process.send?.(ready);
