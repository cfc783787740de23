import type { Scope } from '../../http/scope.js';
import { InvalidRequestError, RequestError } from '../answers.js';
import { clearedCookie, sessionCookie, sessionOf } from '../cookie.js';
import type { Dashboard } from '../dashboard.js';
import type { Door } from '../door.js';
import { assertKnown, fieldsOf, text } from '../parameters.js';

/** `session`: signing in and out, and whether that is needed. The only part of the API that is open. */
export function sessionRoutes(api: Scope, { access, logger }: Dashboard, door: Door): void {
  api.get('/session', async (request) => ({ access: door.identityOf(request) !== undefined }));

  api.post('/session', async (request, reply) => {
    const fields = fieldsOf(request.body);
    assertKnown(fields, ['token']);
    const token = text(fields, 'token');
    if (token === undefined) throw new InvalidRequestError('token', 'is missing');
    if (!access.needsToken) return reply.code(204).send();
    const session = access.signIn(token, request.ip);
    if (session === undefined) {
      logger.warn({}, 'somebody tried to sign in at the dashboard with a wrong token');
      throw new RequestError(401, 'UNAUTHORIZED', 'this is not the token');
    }
    return reply.code(204).header('set-cookie', sessionCookie(request, session)).send();
  });

  api.delete('/session', async (request, reply) => {
    const session = sessionOf(request);
    if (session !== undefined) access.signOut(session);
    return reply.code(204).header('set-cookie', clearedCookie(request)).send();
  });
}
