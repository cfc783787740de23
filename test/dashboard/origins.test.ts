import { describe, expect, it } from 'vitest';
import { deadLetterKeys } from '../../src/redis/queue-keys.js';
import { poisonablePlace, refused } from '../dead-letters/letters.js';
import { testPlace } from '../store/place.js';
import { PAGE_HEADERS, PROTECTED, serveDashboard } from './serving.js';

it('another site may lead here, and have nothing read', async () => {
  const dashboard = await serveDashboard(await testPlace());
  for (const site of ['cross-site', 'same-site']) {
    for (const path of ['', ...PROTECTED]) {
      const read = await dashboard.get(path, { 'sec-fetch-site': site, 'sec-fetch-mode': 'no-cors' });
      expect(read).toMatchObject({ status: 403, body: { error: { code: 'FORBIDDEN_ORIGIN' } } });
    }
    const led = await dashboard.get('', { 'sec-fetch-site': site, 'sec-fetch-mode': 'navigate' });
    expect(led.status).toBe(200);
  }
});

describe('what changes something', () => {
  const PURGE = 'api/dead-letters/purge';

  it('is taken from the page alone', async () => {
    const place = await poisonablePlace();
    await refused(place);
    const dashboard = await serveDashboard(place);
    const own = `http://127.0.0.1:${dashboard.port}`;
    const strangers: Record<string, string>[] = [
      { 'content-type': 'application/json' },
      { 'content-type': 'application/json', 'x-checkpoint-queue': 'other' },
      { ...PAGE_HEADERS, origin: 'http://evil.example' },
      { ...PAGE_HEADERS, origin: `http://127.0.0.1:${dashboard.port + 1}` },
      { ...PAGE_HEADERS, origin: 'null' },
      { ...PAGE_HEADERS, origin: own, 'sec-fetch-site': 'cross-site' },
      { ...PAGE_HEADERS, origin: own, 'sec-fetch-site': 'same-site' },
      { ...PAGE_HEADERS, 'sec-fetch-site': 'none' },
    ];
    for (const headers of strangers) {
      for (const [method, path] of [
        ['POST', PURGE],
        ['POST', 'api/session'],
        ['DELETE', 'api/dead-letters/replays/x'],
        ['PUT', `queues/api/queues/pause`],
      ] as const) {
        expect(await dashboard.ask(path, { method, headers, body: { all: true } })).toMatchObject({
          status: 403,
          body: { error: { code: 'FORBIDDEN_ORIGIN' } },
        });
      }
    }
    expect(await place.client.zcard(deadLetterKeys(place.keys).chunks)).toBe(1);
    const answer = await dashboard.post(PURGE, { all: true }, { origin: own });
    expect(answer).toMatchObject({ status: 200, body: { purged: 1 } });
  });

  it('is read as JSON alone', async () => {
    const dashboard = await serveDashboard(await testPlace());
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
    ]) {
      const headers = { ...PAGE_HEADERS, 'content-type': type };
      expect((await dashboard.ask(PURGE, { method: 'POST', headers, body: { all: true } })).status).toBe(415);
    }
    const answer = await dashboard.ask(PURGE, {
      method: 'POST',
      headers: PAGE_HEADERS,
      body: '{"all": canary',
    });
    expect(answer.status).toBe(400);
    expect(answer.text).not.toContain('canary');
  });

  it('is impossible in bull-board', async () => {
    const dashboard = await serveDashboard(await testPlace());
    for (const [method, path] of [
      ['PUT', 'queues/api/queues/pause'],
      ['PUT', 'queues/api/queues/x/obliterate'],
      ['POST', 'queues/api/queues/x/add'],
      ['PATCH', 'queues/api/queues/x/w-1/update-data'],
    ] as const) {
      expect((await dashboard.ask(path, { method, headers: PAGE_HEADERS, body: {} })).status).toBe(405);
    }
  });
});
