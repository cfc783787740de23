import type { Scope } from '../../http/scope.js';
import type { Dashboard } from '../dashboard.js';
import type { Door } from '../door.js';
import { assertKnown, filledIn, time } from '../parameters.js';

/** `overview`: the queue and its workers, now and in the last minutes. */
export function overviewRoutes(api: Scope, dashboard: Dashboard, door: Door): void {
  const { sampler, keys, names } = dashboard;
  api.get('/overview', async (request) => {
    const query = filledIn(request.query);
    assertKnown(query, ['since']);
    const since = time(query, 'since')?.toISOString() ?? '';
    const [sampled, postgres] = await Promise.all([sampler.seen(), dashboard.postgresState()]);
    return {
      queue: keys.queue,
      table: names.label,
      at: new Date().toISOString(),
      signedIn: door.identityOf(request) === 'session',
      redis: sampled.redis,
      ...postgres,
      now: sampled.now,
      samples: sampled.samples.filter(({ at }) => at > since),
      workers: sampled.workers,
    };
  });
}
