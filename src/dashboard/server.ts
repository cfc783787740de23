import fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { HttpListenError } from '../errors.js';
import type { Logger } from '../logger.js';
import { settlesWithin } from '../redis/deadline.js';
import { assertProtected } from './access.js';
import { errorBody } from './answers.js';
import { Dashboard, type DashboardConfig } from './dashboard.js';
import { registerDashboard } from './register.js';

export type DashboardServerConfig = DashboardConfig & {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
};

/** Where it is, on every server that has it. */
export const BASE_PATH = '/dashboard';

/** Ids have 512 bytes, of which each may take three characters in a path. */
const MAX_PARAMETER_LENGTH = 2048;
const HANDLER_TIMEOUT_MS = 20_000;
const REQUEST_TIMEOUT_MS = 10_000;
const CLOSE_MS = 500;

/** What a Fastify server needs for a dashboard. */
export const SERVER_OPTIONS = {
  forceCloseConnections: true,
  requestTimeout: REQUEST_TIMEOUT_MS,
  handlerTimeout: HANDLER_TIMEOUT_MS,
  routerOptions: { maxParamLength: MAX_PARAMETER_LENGTH },
  // Of a path that cannot be decoded; Fastify's own answer repeats it.
  frameworkErrors: (_: unknown, __: unknown, reply: FastifyReply) => {
    reply.code(400).send(errorBody('REQUEST', 'the path cannot be read'));
  },
};

/** A dashboard as a server of its own. */
export class DashboardServer {
  readonly #app: FastifyInstance;
  readonly #dashboard: Dashboard;
  #closing: Promise<void> | undefined;

  private constructor(app: FastifyInstance, dashboard: Dashboard) {
    this.#app = app;
    this.#dashboard = dashboard;
  }

  /** Also while Redis or PostgreSQL is away. @throws InvalidConfigError, HttpListenError */
  static async start(
    { host, port, ...config }: DashboardServerConfig,
    logger?: Logger,
  ): Promise<DashboardServer> {
    assertProtected(host, config.token);
    const app = fastify(SERVER_OPTIONS);
    const server = new DashboardServer(app, new Dashboard(config, logger));
    try {
      await registerDashboard(app, server.#dashboard, { basePath: BASE_PATH });
      app.get('/', async (_, reply) => reply.redirect(`.${BASE_PATH}/`));
      await app.listen({ host, port });
      return server;
    } catch (error) {
      await server.close();
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined || !/^E[A-Z]+$/.test(code)) throw error;
      throw new HttpListenError(host, port, code, '--host, --port');
    }
  }

  /** What to open in a browser. */
  get url(): string {
    return `${this.#app.listeningOrigin}${BASE_PATH}/`;
  }

  /** Within two seconds, whoever holds a connection, and whatever is away. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await settlesWithin(this.#app.close(), CLOSE_MS);
    await this.#dashboard.close();
  }
}
