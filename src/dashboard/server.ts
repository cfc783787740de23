import { HttpListenError } from '../http/listen-error.js';
import { HttpServer } from '../http/server.js';
import type { Logger } from '../logger.js';
import { settlesWithin } from '../redis/deadline.js';
import { assertProtected } from './access.js';
import { Dashboard, type DashboardConfig } from './dashboard.js';
import { registerDashboard } from './register.js';

export type DashboardServerConfig = DashboardConfig & {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
};

/** Where it is, on every server that has it. */
export const BASE_PATH = '/dashboard';

const CLOSE_MS = 500;

/** A dashboard as a server of its own. */
export class DashboardServer {
  readonly #http: HttpServer;
  readonly #dashboard: Dashboard;
  #closing: Promise<void> | undefined;

  private constructor(http: HttpServer, dashboard: Dashboard) {
    this.#http = http;
    this.#dashboard = dashboard;
  }

  /** Also while Redis or PostgreSQL is away. @throws InvalidConfigError, HttpListenError */
  static async start(
    { host, port, ...config }: DashboardServerConfig,
    logger?: Logger,
  ): Promise<DashboardServer> {
    assertProtected(host, config.token);
    const http = new HttpServer();
    const server = new DashboardServer(http, new Dashboard(config, logger));
    try {
      registerDashboard(http.root, server.#dashboard, { basePath: BASE_PATH });
      http.root.get('/', (_, reply) => reply.redirect(`.${BASE_PATH}/`));
      await http.listen({ host, port });
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
    return `${this.#http.origin}${BASE_PATH}/`;
  }

  /** Within two seconds, whoever holds a connection, and whatever is away. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await settlesWithin(this.#http.close(), CLOSE_MS);
    await this.#dashboard.close();
  }
}
