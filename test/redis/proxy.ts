import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** What the proxy does with what it is given: pass it on, keep it, or throw away the answers. */
type Mode = 'pass' | 'stall' | 'swallow-replies';

/** Stands before a Redis and takes it away in the ways a network can. Goes with the test. */
export class RedisProxy {
  readonly #target: URL;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;
  #mode: Mode = 'pass';
  #swallowFrom: string | undefined;
  #onSwallowed = () => {};

  private constructor(target: string) {
    this.#target = new URL(target);
  }

  static async before(target: string): Promise<RedisProxy> {
    const proxy = new RedisProxy(target);
    await proxy.open();
    onTestFinished(() => proxy.refuse());
    return proxy;
  }

  get url(): string {
    const url = new URL(this.#target);
    url.hostname = '127.0.0.1';
    url.port = String(this.#port);
    return url.toString();
  }

  /** Takes connections, at the port of the last time. */
  async open(): Promise<void> {
    this.#mode = 'pass';
    this.#swallowFrom = undefined;
    this.#server = createServer((socket) => this.#connect(socket)).listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Breaks all connections and takes no more. */
  async refuse(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.cut();
    if (server) await new Promise((resolve) => server.close(resolve));
  }

  /** Breaks all connections; new ones are taken. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Connections stay, and nothing passes any more. */
  stall(): void {
    this.#mode = 'stall';
    for (const socket of this.#sockets) socket.pause();
  }

  /** As `stall`, but new connections pass: what a firewall does that has forgotten the old ones. */
  stallConnected(): void {
    for (const socket of this.#sockets) socket.pause();
  }

  /** What was kept is passed on. */
  resume(): void {
    this.#mode = 'pass';
    for (const socket of this.#sockets) socket.resume();
  }

  /** Commands arrive, and from the first with this text on no reply comes back; resolves when one was thrown away. */
  swallowRepliesFrom(text: string): Promise<void> {
    this.#swallowFrom = text;
    return new Promise((resolve) => {
      this.#onSwallowed = resolve;
    });
  }

  #connect(client: Socket): void {
    const redis = new Socket();
    redis.connect(Number(this.#target.port || 6379), this.#target.hostname);
    for (const socket of [client, redis]) {
      this.#sockets.add(socket);
      if (this.#mode === 'stall') socket.pause();
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        client.destroy();
        redis.destroy();
      });
    }
    client.on('data', (bytes) => {
      if (this.#swallowFrom !== undefined && bytes.includes(this.#swallowFrom))
        this.#mode = 'swallow-replies';
      redis.write(bytes);
    });
    redis.on('data', (bytes) => {
      if (this.#mode === 'swallow-replies') this.#onSwallowed();
      else client.write(bytes);
    });
  }
}
