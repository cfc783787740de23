import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Redis } from 'ioredis';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { services } from '../services.js';
import { TcpProxy } from './tcp-proxy.js';

/** A server that sends back what it gets, with the sockets that it was given. */
async function echo(): Promise<{ url: string; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { url: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets };
}

/** A connection, all that came back over it, and the code of the error that ended it. */
class Caller {
  received = '';
  error: string | undefined;
  readonly ended: Promise<void>;
  readonly #socket: Socket;

  constructor(url: string) {
    this.#socket = connect(Number(new URL(url).port), '127.0.0.1');
    this.#socket.on('data', (bytes) => {
      this.received += bytes;
    });
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error.code;
    });
    this.ended = new Promise((resolve) => this.#socket.once('close', () => resolve()));
    onTestFinished(() => void this.#socket.destroy());
  }

  say(text: string): void {
    this.#socket.write(text);
  }

  finish(text: string): void {
    this.#socket.end(text);
  }

  async hears(text: string): Promise<void> {
    await expect.poll(() => this.received, { interval: 2, timeout: 5000 }).toBe(text);
  }
}

async function connected(proxy: TcpProxy): Promise<Caller> {
  const caller = new Caller(proxy.url);
  caller.say('a');
  await caller.hears('a');
  return caller;
}

describe('TcpProxy', () => {
  it('passes everything on, in both directions, to the end and in order', async () => {
    const proxy = await TcpProxy.before((await echo()).url);
    const caller = new Caller(proxy.url);
    const text = Array.from({ length: 300_000 }, (_, i) => `${i} `).join('');
    caller.finish(text);
    await caller.ended;
    expect(caller.received === text).toBe(true);
    expect(caller.error).toBeUndefined();
    await expect.poll(() => proxy.connections).toBe(0);
  });

  it('stands before Redis and PostgreSQL, and passes on the last words of a server', async () => {
    const { redisUrl, databaseUrl } = services();
    const redis = new Redis((await TcpProxy.before(redisUrl)).url);
    onTestFinished(() => redis.disconnect());
    expect(await redis.ping()).toBe('PONG');
    const url = new URL((await TcpProxy.before(databaseUrl)).url);
    url.username = 'nobody';
    const client = new pg.Client({ connectionString: url.toString() });
    await expect(client.connect()).rejects.toMatchObject({ code: '28P01' });
  });

  it('delays each direction by itself and keeps the order', async () => {
    const proxy = await TcpProxy.before((await echo()).url);
    const caller = await connected(proxy);
    for (const latency of [
      { toServer: 120, toClient: 0 },
      { toServer: 0, toClient: 120 },
    ]) {
      proxy.delay(latency);
      caller.received = '';
      const began = performance.now();
      for (const letter of 'bcdef') caller.say(letter);
      await caller.hears('bcdef');
      expect(performance.now() - began).toBeGreaterThan(115);
    }
    proxy.delay({ toClient: 50 });
    caller.received = '';
    caller.say('slow');
    proxy.delay({ toClient: 0 });
    caller.finish(' end');
    await caller.ended;
    expect(caller.received).toBe('slow end');
  });

  it.each([
    ['close', undefined],
    ['reset', 'ECONNRESET'],
  ] as const)('breaks connections by a %s and takes new ones', async (how, error) => {
    const { url, sockets } = await echo();
    const proxy = await TcpProxy.before(url);
    const caller = await connected(proxy);
    proxy.cut(how);
    await caller.ended;
    expect(caller.error).toBe(error);
    await expect.poll(() => sockets[0]?.destroyed).toBe(true);
    await connected(proxy);
  });

  it('passes a reset by the server on as a reset', async () => {
    const { url, sockets } = await echo();
    const caller = await connected(await TcpProxy.before(url));
    sockets[0]?.resetAndDestroy();
    await caller.ended;
    expect(caller.error).toBe('ECONNRESET');
  });

  it('refuses, and opens again at the same port', async () => {
    const proxy = await TcpProxy.before((await echo()).url);
    const { url } = proxy;
    const before = await connected(proxy);
    await proxy.refuse();
    await before.ended;
    const refused = new Caller(url);
    await refused.ended;
    expect(refused.error).toBe('ECONNREFUSED');
    await proxy.open();
    expect(proxy.url).toBe(url);
    await connected(proxy);
  });

  it('keeps what a stalled connection says, old or new, and passes it on later', async () => {
    const { url } = await echo();
    const proxy = await TcpProxy.before(url);
    const old = await connected(proxy);
    proxy.stall();
    old.say('b');
    const fresh = new Caller(proxy.url);
    fresh.say('c');
    await expect.poll(() => proxy.connections).toBe(2);
    // Time enough for it to pass, had it not been kept.
    const direct = new Caller(url);
    for (let trip = 1; trip <= 50; trip++) {
      direct.say('.');
      await direct.hears('.'.repeat(trip));
    }
    expect([old.received, fresh.received]).toEqual(['a', '']);
    proxy.resume();
    await Promise.all([old.hears('ab'), fresh.hears('c')]);
  });

  it('can keep the replies alone', async () => {
    const { url, sockets } = await echo();
    const proxy = await TcpProxy.before(url);
    const caller = await connected(proxy);
    proxy.stall('toClient');
    caller.say('b');
    await expect.poll(() => sockets[0]?.bytesWritten).toBe(2);
    expect(caller.received).toBe('a');
    proxy.resume();
    await caller.hears('ab');
  });

  it('can stall the connections that are there and pass new ones', async () => {
    const proxy = await TcpProxy.before((await echo()).url);
    const old = await connected(proxy);
    proxy.stallConnected();
    old.say('b');
    await connected(proxy);
    expect(old.received).toBe('a');
  });

  it('resets connections when so many more bytes have passed', async () => {
    const proxy = await TcpProxy.before((await echo()).url);
    const caller = await connected(proxy);
    const cut = proxy.cutAfter(3, 'toClient');
    caller.say('bcdef');
    await cut;
    await caller.ended;
    expect(caller.received).toBe('abcd');
    await connected(proxy);
  });

  it('throws replies away from a request on that holds a text, until it is opened anew', async () => {
    const { url, sockets } = await echo();
    const proxy = await TcpProxy.before(url);
    const caller = await connected(proxy);
    const swallowed = proxy.swallowRepliesFrom('lost');
    caller.say('kept');
    await caller.hears('akept');
    caller.say('this is lost');
    await swallowed;
    expect(caller.received).toBe('akept');
    expect(sockets[0]?.bytesRead).toBe('akeptthis is lost'.length);
    await proxy.open();
    caller.say('!');
    await caller.hears('akept!');
  });
});
