import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type Direction, ProxyLink } from './proxy-link.js';

interface ByteLimit {
  readonly direction: Direction;
  left: number;
  /** Nothing more is passed, and the connections are about to be cut. */
  isReached: boolean;
  reached(): void;
}

interface Swallowing {
  readonly from: string;
  began: boolean;
  swallowed(): void;
}

const BOTH: readonly Direction[] = ['toServer', 'toClient'];

/** Where a protocol listens if its URL names no port. */
const DEFAULT_PORT: Record<string, number> = { 'redis:': 6379, 'postgres:': 5432, 'postgresql:': 5432 };

/** Stands before a Redis, a PostgreSQL or any TCP server, and takes it away in the ways a network can. */
export class FaultyProxy {
  #target: URL;
  readonly #links = new Set<ProxyLink>();
  readonly #latency = { toServer: 0, toClient: 0 };
  #server: Server | undefined;
  #port = 0;
  #stalled: readonly Direction[] = [];
  #limit: ByteLimit | undefined;
  #swallowing: Swallowing | undefined;

  protected constructor(target: string) {
    this.#target = new URL(target);
  }

  /** Whoever starts it ends it with `refuse`. @param target URL of the server */
  static async start(target: string): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(target);
    await proxy.open();
    return proxy;
  }

  /** The target's URL with the proxy's address. */
  get url(): string {
    const url = new URL(this.#target);
    url.hostname = '127.0.0.1';
    url.port = String(this.#port);
    return url.toString();
  }

  /** New connections lead to another server from now on, as a virtual address or a DNS entry that moves; those that are stay. */
  pointTo(target: string): void {
    this.#target = new URL(target);
  }

  get connections(): number {
    return this.#links.size;
  }

  /** Takes connections and passes everything on, at the port of the last time. */
  async open(): Promise<void> {
    this.resume();
    this.#limit = undefined;
    this.#swallowing = undefined;
    if (this.#server) return;
    // Half-open: what one side says before it ends is to reach the other, an error message of PostgreSQL for instance.
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#connect(socket));
    this.#server = server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Breaks all connections and takes no more. */
  async refuse(how: 'close' | 'reset' = 'close'): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.cut(how);
    if (server) await new Promise((resolve) => server.close(resolve));
  }

  /** Breaks all connections, in an orderly way or by a reset; new ones are taken. */
  cut(how: 'close' | 'reset' = 'close'): void {
    for (const link of this.#links) link.break(how);
  }

  /** Passes so many more bytes in a direction, of all connections together, then resets them all. New ones are taken. */
  cutAfter(bytes: number, direction: Direction): Promise<void> {
    return new Promise((reached) => {
      this.#limit = { direction, left: bytes, isReached: false, reached };
    });
  }

  /** A black hole: connections stay, new ones are taken, and nothing passes any more, or nothing in the one direction. */
  stall(...directions: Direction[]): void {
    this.#stalled = directions.length > 0 ? directions : BOTH;
    for (const link of this.#links) link.stall(this.#stalled);
  }

  /** As `stall`, but new connections pass: what a firewall does that has forgotten the old ones. */
  stallConnected(): void {
    for (const link of this.#links) link.stall(BOTH);
  }

  /** What was kept is passed on. */
  resume(): void {
    this.#stalled = [];
    for (const link of this.#links) link.resume();
  }

  /** From now on every byte arrives so many milliseconds late, in the order it was sent. 0 ends it. */
  delay(latency: Partial<Record<Direction, number>>): void {
    Object.assign(this.#latency, latency);
  }

  /** Requests arrive, and from the first with this text on no reply comes back; resolves when one was thrown away. */
  swallowRepliesFrom(text: string): Promise<void> {
    return new Promise((swallowed) => {
      this.#swallowing = { from: text, began: false, swallowed };
    });
  }

  #connect(client: Socket): void {
    const { hostname, port, protocol } = this.#target;
    const link = new ProxyLink(
      client,
      { host: hostname, port: Number(port || DEFAULT_PORT[protocol]) },
      {
        latencyOf: (direction) => this.#latency[direction],
        pass: (direction, bytes) => this.#pass(direction, bytes),
        closed: () => this.#links.delete(link),
      },
    );
    this.#links.add(link);
    link.stall(this.#stalled);
  }

  /** What of these bytes goes on. */
  #pass(direction: Direction, bytes: Buffer): Buffer | undefined {
    const swallowing = this.#swallowing;
    if (swallowing && direction === 'toServer') swallowing.began ||= bytes.includes(swallowing.from);
    if (swallowing?.began && direction === 'toClient') {
      swallowing.swallowed();
      return undefined;
    }
    const limit = this.#limit;
    if (limit?.direction !== direction) return bytes;
    const passed = bytes.subarray(0, limit.left);
    limit.left -= passed.length;
    if (limit.left === 0 && !limit.isReached) {
      limit.isReached = true;
      // After the last of them are handed to their socket.
      setImmediate(() => {
        this.#limit = undefined;
        this.cut('reset');
        limit.reached();
      });
    }
    return passed;
  }
}
