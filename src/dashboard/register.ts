import type { FastifyInstance } from 'fastify';
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
 * Serves a dashboard as a part of a Fastify server, which has to be made with `SERVER_OPTIONS`. What else the server has is not
 * touched. The dashboard stays the caller's to close, after the server.
 */
export async function registerDashboard(
  app: FastifyInstance,
  dashboard: Dashboard,
  { basePath }: DashboardPlace,
): Promise<void> {
  const door = new Door(dashboard.access);
  await app.register(
    async (scope) => {
      answers(scope, dashboard);
      scope.addHook('onRequest', async (_, reply) => setSecurityHeaders(reply));
      scope.addHook('onRequest', door.checkHost);
      scope.addHook('onRequest', door.checkOrigin);
      await scope.register(async (open) => sessionRoutes(open, dashboard, door), { prefix: '/api' });
      await scope.register(async (api) => apiRoutes(api, dashboard, door), { prefix: '/api' });
      const queues = { basePath: `${basePath}/queues`, dashboardPath: basePath };
      await scope.register((board) => bullBoard(board, dashboard, door, queues), { prefix: '/queues' });
      await scope.register((files) => pageFiles(files, door, basePath));
    },
    { prefix: basePath },
  );
  // Relative, as it may be behind a path of a reverse proxy.
  app.get(basePath, async (_, reply) => reply.redirect(`.${basePath}/`));
}

function apiRoutes(api: FastifyInstance, dashboard: Dashboard, door: Door): void {
  api.addHook('onRequest', door.checkAccess);
  overviewRoutes(api, dashboard, door);
  deadLetterRoutes(api, dashboard);
  executionRoutes(api, dashboard);
  api.all('/*', async (_, reply) => reply.callNotFound());
}

/** Of every error, and every path that is not there, in one form. Only JSON is read, and a body may be left out. */
function answers(scope: FastifyInstance, { logger }: Dashboard): void {
  scope.setErrorHandler((error, _, reply) => {
    const { status, body, expected } = answerOf(error);
    if (!expected) {
      const { name, code } = error as NodeJS.ErrnoException;
      logger.error({ error: code ?? name }, 'the dashboard met an unexpected error');
    }
    return reply.code(status).send(body);
  });
  scope.setNotFoundHandler((_, reply) =>
    reply.code(404).send(errorBody('NOT_FOUND', 'there is nothing at this path')),
  );
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('application/json', { parseAs: 'string' }, async (_: unknown, text: string) => {
    if (text === '') return undefined;
    try {
      return JSON.parse(text);
    } catch {
      // The message of the error repeats what was sent.
      throw Object.assign(new Error('not JSON'), { statusCode: 400 });
    }
  });
}
