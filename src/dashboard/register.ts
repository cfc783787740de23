import type { HttpReply } from '../http/exchange.js';
import type { Scope } from '../http/scope.js';
import { answerOf, errorBody } from './answers.js';
import { bullBoard } from './bull-board.js';
import type { Dashboard } from './dashboard.js';
import { Door } from './door.js';
import { pageFiles } from './page-files.js';
import { deadLetterRoutes } from './routes/dead-letters.js';
import { executionRoutes } from './routes/executions.js';
import { overviewRoutes } from './routes/overview.js';
import { sessionRoutes } from './routes/session.js';
import { setSecurityHeaders } from './security-headers.js';

export interface DashboardPlace {
  /** Path under which it is served, as `/dashboard`. */
  readonly basePath: string;
}

/**
 * Serves a dashboard as a part of a server. What else the server has is not touched. The dashboard stays the caller's to close, after
 * the server.
 */
export function registerDashboard(server: Scope, dashboard: Dashboard, { basePath }: DashboardPlace): void {
  const door = new Door(dashboard.access);
  const scope = server.within(basePath);
  scope.onError((error, reply) => answerError(error, reply, dashboard));
  scope.before(async (_, reply) => setSecurityHeaders(reply));
  scope.before(door.checkHost);
  scope.before(door.checkOrigin);
  scope.otherwise(notFound);
  sessionRoutes(scope.within('/api'), dashboard, door);
  apiRoutes(scope.within('/api'), dashboard, door);
  bullBoard(scope.within('/queues'), dashboard, door, {
    basePath: `${basePath}/queues`,
    dashboardPath: basePath,
  });
  pageFiles(scope.within(), door, basePath);
  // Relative, as it may be behind a path of a reverse proxy.
  server.get(basePath, (_, reply) => reply.redirect(`.${basePath}/`));
}

function apiRoutes(api: Scope, dashboard: Dashboard, door: Door): void {
  api.before(door.checkAccess);
  api.otherwise(notFound);
  overviewRoutes(api, dashboard, door);
  deadLetterRoutes(api, dashboard);
  executionRoutes(api, dashboard);
}

function answerError(error: unknown, reply: HttpReply, { logger }: Dashboard): void {
  const { status, body, expected } = answerOf(error);
  if (!expected) {
    const { name, code } = error as NodeJS.ErrnoException;
    logger.error({ error: code ?? name }, 'the dashboard met an unexpected error');
  }
  reply.code(status).send(body);
}

function notFound(_: unknown, reply: HttpReply): HttpReply {
  return reply.code(404).send(errorBody('NOT_FOUND', 'there is nothing at this path'));
}
