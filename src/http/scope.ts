import type { HttpReply, HttpRequest } from './exchange.js';

/** What it returns is sent, unless it has sent an answer itself. */
export type Handler = (request: HttpRequest, reply: HttpReply) => unknown;

/** Looks at a request before its handler, and before its body is read. It lets it in unless it sends an answer, or throws. */
export type Hook = (request: HttpRequest, reply: HttpReply) => Promise<unknown>;

export interface RouteOptions {
  /** Until the handler has an answer. Default: the server's. */
  timeoutMs?: number;
}

export interface Route extends RouteOptions {
  readonly scope: Scope;
  readonly handler: Handler;
  /** Names of the parameters in the path, in their order. */
  readonly names: readonly string[];
}

/** Of a path's segments: what is served there, and below. */
interface Place {
  readonly below: Map<string, Place>;
  /** Where the segment is a parameter. */
  parameter?: Place;
  /** By method. */
  readonly routes: Map<string, Route>;
  /** What answers below, where nothing else does. */
  otherwise?: Route;
}

/**
 * A part of a server: the routes below a path, and what holds for all of them. Hooks of an outer scope run before those of an inner one,
 * also where no route is found, as long as a scope around it has an `otherwise`.
 */
export class Scope {
  readonly #hooks: Hook[] = [];
  readonly #closers: (() => unknown)[];
  /** Of the whole server. */
  readonly #root: Place;
  #answerError: ((error: unknown, reply: HttpReply) => void) | undefined;

  private constructor(
    private readonly path: string,
    private readonly outer?: Scope,
  ) {
    this.#root = outer ? outer.#root : newPlace();
    this.#closers = outer ? outer.#closers : [];
  }

  static root(): Scope {
    return new Scope('');
  }

  /** A scope within this one. @param prefix as `/api`; none: the same paths with hooks of their own */
  within(prefix = ''): Scope {
    return new Scope(this.path + prefix, this);
  }

  /** Adds a hook. */
  before(hook: Hook): void {
    this.#hooks.push(hook);
  }

  /** Called when the server closes. */
  onClose(close: () => unknown): void {
    this.#closers.push(close);
  }

  /** How errors of hooks and handlers are answered here, and in the scopes within that do not say. */
  onError(answer: (error: unknown, reply: HttpReply) => void): void {
    this.#answerError = answer;
  }

  /** Also answers HEAD. @param path of segments, those that begin with `:` are parameters */
  get(path: string, handler: Handler, options?: RouteOptions): void {
    this.#add('GET', path, handler, options);
  }

  post(path: string, handler: Handler, options?: RouteOptions): void {
    this.#add('POST', path, handler, options);
  }

  delete(path: string, handler: Handler, options?: RouteOptions): void {
    this.#add('DELETE', path, handler, options);
  }

  /** What answers below the path of this scope, where no route does. */
  otherwise(handler: Handler): void {
    this.#placeOf(this.path).otherwise = { scope: this, handler, names: [] };
  }

  #add(method: string, path: string, handler: Handler, options: RouteOptions = {}): void {
    const full = this.path + path;
    const names = full.split('/').filter(isParameter);
    const route = { ...options, scope: this, handler, names: names.map((name) => name.slice(1)) };
    this.#placeOf(full).routes.set(method, route);
  }

  #placeOf(path: string): Place {
    let place = this.#root;
    for (const segment of path.split('/').slice(1)) {
      if (isParameter(segment)) {
        place.parameter ??= newPlace();
        place = place.parameter;
      } else {
        const next = place.below.get(segment) ?? newPlace();
        place.below.set(segment, next);
        place = next;
      }
    }
    return place;
  }

  /** What answers a request to this path, with the values of its parameters. */
  find(
    method: string,
    segments: readonly string[],
  ): { route: Route; parameters: Map<string, string> } | undefined {
    const found = findFrom(this.#root, method === 'HEAD' ? 'GET' : method, segments, []);
    if (!found) return undefined;
    const { route, values } = found;
    return { route, parameters: new Map(route.names.map((name, index) => [name, values[index] as string])) };
  }

  /** Runs the hooks, those of the outermost scope first, until one has sent an answer. */
  async admit(request: HttpRequest, reply: HttpReply): Promise<void> {
    await this.outer?.admit(request, reply);
    for (const hook of this.#hooks) {
      if (reply.sent) return;
      await hook(request, reply);
    }
  }

  answerError(error: unknown, reply: HttpReply): void {
    if (this.#answerError) this.#answerError(error, reply);
    else if (this.outer) this.outer.answerError(error, reply);
    else reply.code(500).send({ error: 'unexpected error' });
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#closers.map(async (close) => close()));
  }
}

function newPlace(): Place {
  return { below: new Map(), routes: new Map() };
}

function isParameter(segment: string): boolean {
  return segment.startsWith(':');
}

function findFrom(
  place: Place,
  method: string,
  [segment, ...rest]: readonly string[],
  values: string[],
): { route: Route; values: string[] } | undefined {
  const { below, parameter, routes, otherwise } = place;
  const found =
    segment === undefined
      ? routes.get(method) && { route: routes.get(method) as Route, values }
      : (findBelow(below.get(segment), method, rest, values) ??
        findBelow(parameter, method, rest, [...values, segment]));
  return found ?? (otherwise && { route: otherwise, values: [] });
}

function findBelow(place: Place | undefined, method: string, rest: readonly string[], values: string[]) {
  return place && findFrom(place, method, rest, values);
}
