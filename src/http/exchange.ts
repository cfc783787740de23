import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';

/** A request that is refused before, or instead of, its handler. The message repeats nothing of what was sent. */
export class HttpError extends Error {
  constructor(
    readonly statusCode: number,
    message: string,
  ) {
    super(message);
  }
}

/** A larger body is refused with 413. */
const MAX_BODY_BYTES = 1024 * 1024;

/** A request, with what its route made of it. */
export class HttpRequest {
  readonly method: string;
  /** As it was sent: path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** Parameters of the query; a repeated one is an array. */
  readonly query: Readonly<Record<string, string | string[]>>;
  /** The segments of the path, decoded. */
  readonly segments: readonly string[];
  /** Otherwise its segments are as they were sent. */
  readonly isDecodable: boolean;
  /** Values of the parameters in the route's path. */
  parameters: ReadonlyMap<string, string> = new Map();
  /** The JSON that was sent; undefined without a body, and until the hooks have let the request in. */
  body: unknown;

  constructor(private readonly incoming: IncomingMessage) {
    const { method = '', url = '/', headers } = incoming;
    this.method = method;
    this.url = url;
    this.headers = headers;
    const [path = '', ...query] = url.split('?');
    const segments = path.slice(1).split('/');
    const decoded = decodedSegments(segments);
    this.segments = decoded ?? segments;
    this.isDecodable = decoded !== undefined;
    this.query = queryOf(query.join('?'));
  }

  /** The path, decoded. */
  get path(): string {
    return `/${this.segments.join('/')}`;
  }

  /** @param name of a parameter that the route has */
  parameter(name: string): string {
    const value = this.parameters.get(name);
    if (value === undefined) throw new TypeError(`the route has no parameter ${name}`);
    return value;
  }

  /** Address of the other end of the connection: a proxy's, where there is one. */
  get ip(): string {
    return this.incoming.socket.remoteAddress ?? '';
  }

  /** The port at which it came in. */
  get localPort(): number {
    return this.incoming.socket.localPort ?? 0;
  }

  /** @throws HttpError 400, 413 or 415 */
  async readBody(): Promise<void> {
    const { headers } = this;
    if (headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0) return;
    if (headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase() !== 'application/json') {
      throw new HttpError(415, 'the body is not JSON');
    }
    const text = (await bytesOf(this.incoming)).toString();
    if (text === '') return;
    try {
      this.body = JSON.parse(text);
    } catch {
      // The message of the error repeats what was sent.
      throw new HttpError(400, 'the body is not JSON');
    }
  }
}

/** The answer to a request. What comes after it was sent is ignored. */
export class HttpReply {
  #sent = false;

  constructor(private readonly response: ServerResponse) {}

  get sent(): boolean {
    return this.#sent;
  }

  /** Default 200. */
  code(status: number): this {
    if (!this.#sent) this.response.statusCode = status;
    return this;
  }

  header(name: string, value: string): this {
    if (!this.#sent) this.response.setHeader(name, value);
    return this;
  }

  headers(headers: Readonly<Record<string, string>>): this {
    for (const [name, value] of Object.entries(headers)) this.header(name, value);
    return this;
  }

  type(contentType: string): this {
    return this.header('content-type', contentType);
  }

  redirect(location: string): this {
    return this.code(302).header('location', location).send();
  }

  /** Sends text and bytes as they are, nothing where there is nothing, and all else as JSON. */
  send(content?: unknown): this {
    if (this.#sent) return this;
    const bytes = typeof content === 'string' || Buffer.isBuffer(content) ? content : asJson(content);
    if (bytes !== content) this.type('application/json; charset=utf-8');
    if (bytes !== undefined) this.header('content-length', String(Buffer.byteLength(bytes)));
    this.#sent = true;
    this.response.end(bytes);
    return this;
  }
}

/** Not by iterating over it, which would close the connection, and lose the answer, where it stops early. */
function bytesOf(incoming: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    incoming.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes <= MAX_BODY_BYTES) parts.push(part);
      else reject(new HttpError(413, 'the body is too large'));
    });
    incoming.on('end', () => resolve(Buffer.concat(parts)));
    const abort = () => reject(new HttpError(400, 'the body did not arrive'));
    incoming.on('error', abort).on('close', abort);
  });
}

function asJson(content: unknown): string | undefined {
  return content === undefined ? undefined : JSON.stringify(content);
}

function decodedSegments(segments: readonly string[]): string[] | undefined {
  try {
    return segments.map((segment) => decodeURIComponent(segment));
  } catch {
    return undefined;
  }
}

function queryOf(text: string): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of new URLSearchParams(text)) {
    const before = query[name];
    query[name] = before === undefined ? value : [before, value].flat();
  }
  return query;
}
