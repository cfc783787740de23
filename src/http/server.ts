import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { HttpError, HttpReply, HttpRequest } from './exchange.js';
import { Scope } from './scope.js';

/** For the whole request to arrive. */
const REQUEST_TIMEOUT_MS = 10_000;
/** How often Node looks for requests that are late. With its default of 30 s, they were closed after up to 40 s. */
const LATE_LOOK_MS = 500;
/** For its answer. */
const HANDLER_TIMEOUT_MS = 20_000;

/**
 * An HTTP server for JSON and files on `node:http`: routes in scopes, hooks before them, and a limit for what a client or a handler can
 * delay. It reads whole bodies of JSON, up to 1 MiB, and streams nothing.
 */
export class HttpServer {
  /** What it serves. */
  readonly root = Scope.root();
  readonly #servers: Server[] = [];
  #closing: Promise<void> | undefined;

  constructor() {
    this.root.otherwise((_, reply) => reply.code(404).send({ error: 'not found' }));
  }

  /** `localhost` is every address of that name, as browsers choose either. @throws what `listen` of Node emits */
  async listen({ host, port }: { host: string; port: number }): Promise<void> {
    const [first = host, ...others] = host === 'localhost' ? await addressesOf(host) : [host];
    await this.#listen(first, port);
    for (const address of others) {
      await this.#listen(address, this.#address.port).catch(() => {}); // an IPv6 that this machine has not
    }
  }

  /** The scheme, address and port of it, as `http://127.0.0.1:4983`. */
  get origin(): string {
    const { address, family, port } = this.#address;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  }

  /** Closes all connections, also those of requests that are not answered yet. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const closed = this.#servers.map(async (server) => {
      const ended = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await ended;
    });
    await Promise.all([...closed, this.root.close()]);
  }

  get #address(): AddressInfo {
    return this.#servers[0]?.address() as AddressInfo;
  }

  async #listen(host: string, port: number): Promise<void> {
    const limits = { requestTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: LATE_LOOK_MS };
    const server = createServer(limits, (incoming, response) => {
      void this.#answer(incoming, response);
    });
    server.listen({ host, port });
    await once(server, 'listening');
    // A connection that cannot be accepted, as there are too many open files, is told as an error of the server.
    server.on('error', () => {});
    this.#servers.push(server);
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = new HttpRequest(incoming);
    const reply = new HttpReply(response);
    const found = this.root.find(request.method, request.segments);
    if (!found) return;
    const { route, parameters } = found;
    request.parameters = parameters;
    let timer: NodeJS.Timeout | undefined;
    const expired = new Promise<never>((_, reject) => {
      const expire = () => reject(new HttpError(503, 'it took too long'));
      timer = setTimeout(expire, route.timeoutMs ?? HANDLER_TIMEOUT_MS);
    });
    try {
      await Promise.race([handle(), expired]);
    } catch (error) {
      // Otherwise the rest of a body that is too large would be read first.
      if (!incoming.complete && statusOf(error) === 413) reply.header('connection', 'close');
      route.scope.answerError(error, reply);
    } finally {
      clearTimeout(timer);
    }

    async function handle(): Promise<void> {
      await route.scope.admit(request, reply);
      if (reply.sent) return;
      if (!request.isDecodable) throw new HttpError(400, 'the path cannot be decoded');
      if (request.method !== 'GET' && request.method !== 'HEAD') await request.readBody();
      const content = await route.handler(request, reply);
      if (content !== reply) reply.send(content);
    }
  }
}

function statusOf(error: unknown): number | undefined {
  return error instanceof HttpError ? error.statusCode : undefined;
}

async function addressesOf(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
