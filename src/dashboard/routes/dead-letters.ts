import type { DeadLetter } from '../../dead-letters/dead-letter.js';
import { DeadLetterNotFoundError } from '../../errors.js';
import type { Scope } from '../../http/scope.js';
import { RequestError } from '../answers.js';
import type { Dashboard } from '../dashboard.js';
import { filterOfQuery, selectionOfBody } from '../dead-letter-parameters.js';
import { assertKnown, filledIn, flag, text, wholeNumber } from '../parameters.js';
import { REPLAY_WAIT_MS } from '../replay-tasks.js';

const PAGE = { fallback: 50, maximum: 500 };
/** More are replayed as a task: nobody waits that long for an answer. */
const MAX_WAITED_FOR = 1000;
/** A hundred thousand take about half a minute. */
const PURGE_TIMEOUT_MS = 600_000;

/** `dead-letters`: what PostgreSQL refuses, to look at, to replay and to give up. A payload is shown to who asks for it. */
export function deadLetterRoutes(api: Scope, { letters, replays, logger }: Dashboard): void {
  api.get('/dead-letters', async (request) => {
    const filter = filterOfQuery(request.query, ['limit', 'after']);
    const query = filledIn(request.query);
    const limit = wholeNumber(query, 'limit', PAGE);
    const found = await letters.list({ ...filter, limit: limit + 1, after: text(query, 'after') });
    const page = found.slice(0, limit);
    return { letters: page, next: found.length > limit ? (page.at(-1)?.deadLetterId ?? null) : null };
  });

  api.get('/dead-letters/count', async (request) => ({
    count: await letters.count(filterOfQuery(request.query)),
  }));

  api.get('/dead-letters/:id', async (request) => {
    const query = filledIn(request.query);
    assertKnown(query, ['payload']);
    const id = request.parameter('id');
    const letter = await letters.get(id, { payload: flag(query, 'payload') });
    if (!letter) throw new DeadLetterNotFoundError(id);
    return shown(letter);
  });

  api.post('/dead-letters/replay', async (request) => {
    const selection = selectionOfBody(request.body);
    const { replayed: count } = await letters.replay({ ...selection, dryRun: true });
    if (count > MAX_WAITED_FOR) {
      throw new RequestError(
        409,
        'REPLAY_TOO_LONG',
        `${count} dead letters are more than ${MAX_WAITED_FOR}: replay them as a task`,
      );
    }
    const result = await letters.replay({ ...selection, waitTimeoutMs: REPLAY_WAIT_MS });
    logger.info({ ...result }, 'dead letters replayed from the dashboard');
    return result;
  });

  api.post(
    '/dead-letters/purge',
    async (request) => {
      const purged = await letters.purge(selectionOfBody(request.body));
      logger.info({ purged }, 'dead letters purged from the dashboard');
      return { purged };
    },
    { timeoutMs: PURGE_TIMEOUT_MS },
  );

  api.post('/dead-letters/replays', async (request, reply) =>
    reply.code(202).send({ task: replays.start(selectionOfBody(request.body)) }),
  );

  api.get('/dead-letters/replays/:task', async (request) => {
    const progress = replays.progress(request.parameter('task'));
    if (!progress) throw taskNotFound();
    return progress;
  });

  api.delete('/dead-letters/replays/:task', async (request, reply) => {
    if (!replays.cancel(request.parameter('task'))) throw taskNotFound();
    return reply.code(204).send();
  });
}

function taskNotFound(): RequestError {
  return new RequestError(404, 'TASK_NOT_FOUND', 'there is no such replay, or not any more');
}

function shown({ payload, ...letter }: DeadLetter): object {
  if (!payload) return letter;
  if (payload.kind === 'checkpoint') return { ...letter, payload };
  const { body } = payload;
  return { ...letter, payload: { kind: 'raw', bytes: body.length, base64: body.toString('base64') } };
}
