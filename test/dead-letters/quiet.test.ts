import { expect, it } from 'vitest';
import { newCheckpoint } from '../contract/checkpoints.js';
import { TcpProxy } from '../faults/tcp-proxy.js';
import { everythingIn, recorder, rejectionOf } from '../quiet.js';
import { startWriter } from '../store/place.js';
import { forgedLine, poisonablePlace, refused, testLetters } from './letters.js';

const SECRET = 'secret-of-the-state';

it('nothing of a state or metadata is in what is listed, logged or thrown', async () => {
  const place = await poisonablePlace();
  const { logger, lines } = recorder();
  const fields = { state: { poison: SECRET }, metadata: { [SECRET]: SECRET } };
  const checkpoint = newCheckpoint(fields);
  const [receipt] = await refused(place, [checkpoint]);
  const id = `d-${receipt?.sequence}`;
  const proxy = await TcpProxy.before(place.redis);
  const letters = testLetters(place, { redis: proxy.url, logger, enqueueTimeoutMs: 200 });
  const told: unknown[] = [await letters.list(), await letters.get(id), await letters.count()];
  await startWriter(place, { logger });
  told.push(await letters.replay({ all: true }), await letters.list());
  const again = `${id}-1`;
  const line = forgedLine(place, { checkpoint: fields } as never);
  told.push(
    await rejectionOf(letters.edit(again, { ...checkpoint, id: 'another' })),
    await rejectionOf(letters.edit(again, { ...checkpoint, state: { [SECRET]: 1n } })),
    await rejectionOf(letters.import([{ ...line, version: 1 }])),
    await rejectionOf(letters.list({ sqlState: SECRET })),
    await rejectionOf(letters.replay({ ids: [SECRET] })),
  );
  // What lies beyond is sent, and goes nowhere.
  proxy.stall();
  told.push(
    await rejectionOf(letters.edit(again, checkpoint)),
    await rejectionOf(
      letters.import([forgedLine(place, { sequence: 9, checkpoint: { ...fields, nodeName: '' } } as never)]),
    ),
    await rejectionOf(letters.replay({ ids: [again] })),
  );
  await proxy.refuse();
  expect(told.map((value) => (value as { code?: string }).code).filter(Boolean)).toEqual([
    'INVALID_CHECKPOINT',
    'INVALID_CHECKPOINT',
    'INVALID_DEAD_LETTER',
    'INVALID_FILTER',
    'INVALID_FILTER',
    'QUEUE_UNAVAILABLE',
    'QUEUE_UNAVAILABLE',
    'QUEUE_UNAVAILABLE',
  ]);
  expect(lines.length).toBeGreaterThan(0);
  expect(everythingIn([told, lines])).not.toContain(SECRET);
});
