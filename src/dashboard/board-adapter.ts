import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  AppControllerRoute,
  AppViewRoute,
  BullBoardQueues,
  IServerAdapter,
  UIConfig,
} from '@bull-board/api/typings/app';
import type { Scope } from '../http/scope.js';
import { serveFiles } from '../http/static-files.js';

/**
 * Serves bull-board in a scope: its page, the files of it, and the part of its API that reads. `createBullBoard` calls the setters of it.
 */
export class BoardAdapter implements IServerAdapter {
  #views = '';
  #queues: BullBoardQueues = new Map();
  #uiConfig: UIConfig = {};

  /** @param basePathOf the path of the board, as the browser that sends the header `X-Forwarded-Prefix` sees it */
  constructor(
    private readonly scope: Scope,
    private readonly basePathOf: (forwardedPrefix: string | string[] | undefined) => string,
  ) {}

  setQueues(queues: BullBoardQueues): this {
    this.#queues = queues;
    return this;
  }

  setUIConfig(config: UIConfig): this {
    this.#uiConfig = config;
    return this;
  }

  setStaticPath(route: string, folder: string): this {
    serveFiles(this.scope.within(route), folder);
    return this;
  }

  setViewsPath(folder: string): this {
    this.#views = folder;
    return this;
  }

  setEntryRoute({ route, handler }: AppViewRoute): this {
    for (const path of [route].flat()) {
      this.scope.get(path, ({ headers }, reply) => {
        const basePath = this.basePathOf(headers['x-forwarded-prefix']);
        const { name, params } = handler({ basePath, uiConfig: this.#uiConfig });
        return reply.type('text/html; charset=utf-8').send(pageOf(join(this.#views, name), params));
      });
    }
    return this;
  }

  setApiRoutes(routes: AppControllerRoute[]): this {
    for (const { method, route, handler } of routes) {
      if (![method].flat().includes('get')) continue;
      for (const path of [route].flat()) {
        this.scope.get(path, async ({ query, parameters, headers }, reply) => {
          const { status = 200, body } = await handler({
            queues: this.#queues,
            uiConfig: this.#uiConfig,
            query,
            params: Object.fromEntries(parameters),
            body: {},
            headers: headers as Record<string, string | undefined>,
          });
          return reply.code(status).send(body);
        });
      }
    }
    return this;
  }

  /** Its own answers repeat the error's message: it is answered as all others are. */
  setErrorHandler(): this {
    return this;
  }
}

/** Of EJS, in which the page of bull-board is, what is used there; without the fonts that it would fetch from another company's server. */
function pageOf(template: string, values: Readonly<Record<string, string>>): string {
  return readFileSync(template, 'utf8')
    .replace(/<link href="https:[^>]*>/g, '')
    .replace(/<%([=-])\s*(\w+)\s*%>/g, (_, kind, name) => {
      const value = values[name] ?? '';
      return kind === '=' ? escaped(value) : value;
    });
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
