import type { Scope } from '../../http/scope.js';
import type { Dashboard } from '../dashboard.js';
import { differenceOf } from '../difference.js';
import { assertKnown, filledIn, oneOf, text, wholeNumber } from '../parameters.js';

const EXECUTIONS = { fallback: 20, maximum: 200 };
const CHECKPOINTS = { fallback: 100, maximum: 1000 };

/** `executions`: which were saved lately, their checkpoints in order, and what changed from one to the next. */
export function executionRoutes(api: Scope, dashboard: Dashboard): void {
  const { executions } = dashboard;

  api.get('/executions', async (request) => {
    const query = filledIn(request.query);
    assertKnown(query, ['limit']);
    return { executions: await executions.recent(wholeNumber(query, 'limit', EXECUTIONS)) };
  });

  api.get('/executions/:executionId/checkpoints', async (request) => {
    const query = filledIn(request.query);
    assertKnown(query, ['limit', 'order', 'after']);
    const executionId = request.parameter('executionId');
    const limit = wholeNumber(query, 'limit', CHECKPOINTS);
    const order = oneOf(query, 'order', ['asc', 'desc']);
    const [found, pending] = await Promise.all([
      executions.timeline(executionId, { limit: limit + 1, order, after: text(query, 'after') }),
      dashboard.pendingJobs(executionId),
    ]);
    const checkpoints = found.slice(0, limit);
    return { checkpoints, next: found.length > limit ? (checkpoints.at(-1)?.id ?? null) : null, pending };
  });

  api.get('/executions/:executionId/checkpoints/:id', async (request) => {
    assertKnown(filledIn(request.query), []);
    const { checkpoint, previous } = await executions.neighbours(
      request.parameter('executionId'),
      request.parameter('id'),
    );
    const difference = previous
      ? differenceOf(previous.state, checkpoint.state)
      : { changes: [], truncated: false };
    return { checkpoint, previous: previous?.id ?? null, ...difference };
  });
}
