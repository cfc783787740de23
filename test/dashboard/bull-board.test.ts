import { Queue } from 'bullmq';
import { expect, it, onTestFinished, vi } from 'vitest';
import { silentLogger } from '../../src/logger.js';
import { deadLetterKeys, retentionQueue } from '../../src/redis/queue-keys.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { poisonablePlace, refused } from '../dead-letters/letters.js';
import { testPlace, testStore } from '../store/place.js';
import { serveDashboard } from './serving.js';

const CANARY = 'canary-of-the-state';

interface Board {
  queues: {
    name: string;
    readOnlyMode: boolean;
    allowRetries: boolean;
    jobs: { id: string; data: unknown }[];
  }[];
}

it('shows the queue, its dead letters and its retention, to be looked at alone', async () => {
  const place = await testPlace();
  const dashboard = await serveDashboard(place);
  const { status, body } = await dashboard.get<Board>('queues/api/queues');
  expect(status).toBe(200);
  expect(body.queues).toMatchObject(
    [place.queue, deadLetterKeys(place.keys).queue, retentionQueue(place.keys).name].map((name) => ({
      ...{ name, readOnlyMode: true, allowRetries: false },
    })),
  );
  // Not even the mark of a queue that it looked at.
  expect(await place.client.keys(`${place.keys.jobPrefix.slice(0, -1)}*`)).toEqual([]);
});

it('shows of a job nothing of a state', async () => {
  const place = await poisonablePlace();
  await refused(place, [{ id: 'refused', state: { poison: CANARY }, metadata: { CANARY } }]);
  await testStore(place).save(newCheckpoint({ state: { CANARY }, metadata: { CANARY } }));
  const foreign = new Queue(place.queue, { connection: place.client });
  onTestFinished(() => foreign.close());
  await foreign.add('not ours', { state: CANARY, records: 7 }, { jobId: 'foreign' });
  const dashboard = await serveDashboard(place);

  const dead = deadLetterKeys(place.keys).queue;
  for (const path of [
    `queues/api/queues?activeQueue=${place.queue}&status=waiting`,
    `queues/api/queues?activeQueue=${dead}&status=prioritized`,
    `queues/api/queues/${place.queue}/foreign`,
  ]) {
    const { status, text } = await dashboard.get(path);
    expect(status).toBe(200);
    expect(text).toContain('"records"');
    expect(text).not.toContain(CANARY);
  }
});

it('is told its path as the browser sees it, and fetches nothing from elsewhere', async () => {
  const dashboard = await serveDashboard(await testPlace());
  const { text } = await dashboard.get('queues/');
  expect(text).toContain('<base href="/dashboard/queues/"');
  expect(text).not.toMatch(/(href|src)="https?:/);
  const proxied = await dashboard.get('queues/', { 'x-forwarded-prefix': '/ops/ckpt' });
  expect(proxied.text).toContain('<base href="/ops/ckpt/dashboard/queues/"');
  for (const prefix of ['"><script>', '//evil.example', 'https://evil.example', '/a b']) {
    expect((await dashboard.get('queues/', { 'x-forwarded-prefix': prefix })).text).toContain(
      '<base href="/dashboard/queues/"',
    );
  }
});

it('an error of Redis is told without its message, and logged by its name', async () => {
  const place = await testPlace();
  const logger = { ...silentLogger, error: vi.fn() };
  const dashboard = await serveDashboard(place, {}, logger);
  // BullMQ's list of waiting jobs, as something else: Redis' answer is an error that names the command.
  await place.client.set(place.keys.waiting, CANARY);
  const { status, text } = await dashboard.get(`queues/api/queues?activeQueue=${place.queue}&status=waiting`);
  expect(status).toBe(500);
  expect(text).not.toMatch(/WRONGTYPE|canary/);
  expect(logger.error.mock.calls).toEqual([
    [{ error: 'ReplyError' }, 'the dashboard met an unexpected error'],
  ]);
});

it('says so where Redis is away', async () => {
  const dashboard = await serveDashboard({ ...(await testPlace()), redis: 'redis://127.0.0.1:1' });
  expect(await dashboard.get('queues/api/queues')).toMatchObject({
    status: 503,
    body: { error: { code: 'QUEUE_UNAVAILABLE', message: expect.stringContaining('not connected') } },
  });
  expect((await dashboard.get('queues/')).status).toBe(200);
});
