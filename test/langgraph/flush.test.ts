import { expect, it } from 'vitest';
import { testPlace } from '../store/place.js';
import { startGraphWriter } from './graph-writer.js';
import { testSaver } from './place.js';
import { checkpointOf } from './rich-thread.js';
import { onThread } from './scenarios.js';

it('flush waits for what was put and is not acknowledged yet', async () => {
  const place = await testPlace();
  const saver = testSaver(place);
  await startGraphWriter(place);
  const metadata = { source: 'loop', step: 0, parents: {} } as const;
  const put = saver.put(onThread('t'), checkpointOf(0, { a: 1 }, { a: 1 }), metadata, { a: 1 });
  await saver.flush();
  const committed = testSaver(place, { consistency: 'committed' });
  expect(await committed.getTuple(onThread('t'))).toBeDefined();
  await put;
});
