import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { Queue } from 'bullmq';
import type { Scope } from '../http/scope.js';
import { deadLetterKeys, retentionQueue } from '../redis/queue-keys.js';
import { errorBody, RequestError } from './answers.js';
import { BoardAdapter } from './board-adapter.js';
import type { Dashboard } from './dashboard.js';
import { type Door, READING } from './door.js';
import { setSecurityHeaders } from './security-headers.js';

/** What is shown of a job's data: what our own jobs have, none of which is of a state. A job of somebody else may hold anything. */
const SHOWN_DATA = new Set([
  ...['sink', 'target', 'records', 'bytes', 'setAside'],
  ...[
    'id',
    'executionId',
    'sequence',
    'replays',
    'sqlState',
    'reason',
    'constraint',
    'column',
    'firstFailedAt',
    'lastFailedAt',
  ],
  ...['jobId', 'worker', 'limits'],
]);

/**
 * bull-board, to look at the jobs of the queue, its dead letters and its retention. It cannot change anything: a chunk that is retried or
 * removed by hand would leave its payload, its marks and what waits for it behind.
 */
export function bullBoard(
  scope: Scope,
  dashboard: Dashboard,
  door: Door,
  { basePath, dashboardPath }: { basePath: string; dashboardPath: string },
): void {
  const queues = queuesOf(dashboard);
  scope.onClose(() => closeQueues(queues));
  const redirectStrangers = door.redirectStrangers(dashboardPath);
  scope.before(async (request, reply) => {
    const isApi = request.path.startsWith(`${basePath}/api/`);
    setSecurityHeaders(reply, 'board');
    if (isApi) await door.checkAccess(request, reply);
    else await redirectStrangers(request, reply);
    if (reply.sent) return;
    if (!READING.has(request.method)) {
      throw new RequestError(405, 'READ_ONLY', 'queues can only be looked at here');
    }
    // BullMQ waits for a Redis that is away, for as long as that may be.
    if (isApi) await dashboard.checkRedis();
  });
  scope.otherwise((_, reply) =>
    reply.code(404).send(errorBody('NOT_FOUND', 'there is nothing at this path')),
  );
  createBullBoard({
    queues: queues.map((queue) => {
      const board = new BullMQAdapter(queue, { readOnlyMode: true, allowRetries: false });
      board.setFormatter('data', shownData);
      board.setFormatter('returnValue', () => null);
      return board;
    }),
    serverAdapter: new BoardAdapter(scope, (forwarded) => prefixOf(forwarded) + basePath),
    options: { uiConfig: { boardTitle: `checkpoint-queue: ${dashboard.keys.queue}` } },
  });
}

/** A reverse proxy that takes a part of the path away says so by `X-Forwarded-Prefix`. */
function prefixOf(forwarded: string | string[] | undefined): string {
  return typeof forwarded === 'string' && /^(\/[\w.~-]+)+$/.test(forwarded) ? forwarded : '';
}

function queuesOf({ keys, connection }: Dashboard): Queue[] {
  const { queue, prefix } = keys;
  return [queue, deadLetterKeys(keys).queue, retentionQueue(keys).name].map((name) => {
    const opened = new Queue(name, {
      prefix,
      connection: connection.client,
      // It only looks.
      skipMetasUpdate: true,
      skipVersionCheck: true,
    });
    opened.on('error', () => {}); // told by the calls
    return opened;
  });
}

async function closeQueues(queues: readonly Queue[]): Promise<void> {
  await Promise.allSettled(queues.map((queue) => queue.close()));
}

function shownData(data: unknown): unknown {
  if (typeof data !== 'object' || data === null) return null;
  return Object.fromEntries(Object.entries(data).filter(([field]) => SHOWN_DATA.has(field)));
}
