import { connect, type Socket } from 'node:net';

export type Direction = 'toServer' | 'toClient';

/** What a link asks the proxy it belongs to. */
export interface LinkRules {
  /** Milliseconds that bytes take in this direction. */
  latencyOf(direction: Direction): number;
  /** What of these bytes goes on. */
  pass(direction: Direction, bytes: Buffer): Buffer | undefined;
  closed(): void;
}

/** One connection through the proxy: the client's socket and the one to the server. */
export class ProxyLink {
  readonly #sockets: readonly [client: Socket, server: Socket];
  readonly #flows: readonly Flow[];

  constructor(client: Socket, server: { host: string; port: number }, rules: LinkRules) {
    const upstream = connect({ ...server, allowHalfOpen: true });
    this.#sockets = [client, upstream];
    this.#flows = [
      new Flow(client, upstream, 'toServer', rules),
      new Flow(upstream, client, 'toClient', rules),
    ];
    for (const socket of this.#sockets) {
      socket.setNoDelay(true);
      // A reset is passed on as one.
      socket.on('error', () => this.break('reset'));
      socket.on('close', () => {
        if (this.#sockets.every(({ closed }) => closed)) rules.closed();
      });
    }
  }

  break(how: 'close' | 'reset'): void {
    for (const flow of this.#flows) flow.drop();
    for (const socket of this.#sockets) {
      if (how === 'reset' && !socket.connecting) socket.resetAndDestroy();
      else socket.destroy();
    }
  }

  stall(directions: readonly Direction[]): void {
    for (const flow of this.#flows) if (directions.includes(flow.direction)) flow.stall();
  }

  resume(): void {
    for (const flow of this.#flows) flow.resume();
  }
}

const END = Symbol('end');

/** One direction of a link. What waits for its time is kept in order; a full destination holds up the source. */
class Flow {
  #waiting: (Buffer | typeof END)[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  /** So many of those that wait may go on. */
  #due = 0;
  #stalled = false;

  constructor(
    private readonly source: Socket,
    private readonly destination: Socket,
    readonly direction: Direction,
    private readonly rules: LinkRules,
  ) {
    source.on('data', (bytes: Buffer) => {
      const passed = rules.pass(direction, bytes);
      if (passed?.length) this.#add(passed);
    });
    source.on('end', () => this.#add(END));
    destination.on('drain', () => this.#stalled || source.resume());
  }

  stall(): void {
    this.#stalled = true;
    this.source.pause();
  }

  resume(): void {
    this.#stalled = false;
    this.source.resume();
    this.#flush();
  }

  drop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#waiting = [];
    this.#due = 0;
  }

  #add(item: Buffer | typeof END): void {
    this.#waiting.push(item);
    const release = () => {
      this.#due++;
      this.#flush();
    };
    const ms = this.rules.latencyOf(this.direction);
    if (ms === 0 && this.#timers.size === 0) {
      release();
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      release();
    }, ms);
    this.#timers.add(timer);
  }

  #flush(): void {
    while (!this.#stalled && this.#due > 0) {
      this.#due--;
      const item = this.#waiting.shift();
      if (item === END) this.destination.end();
      else if (item && !this.destination.write(item)) this.source.pause();
    }
  }
}
