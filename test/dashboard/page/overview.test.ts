import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { WorkerRegistry } from '../../../src/redis/worker-registry.js';
import { newCheckpoint } from '../../contract/checkpoints.js';
import { startWriter, testPlace, testStore } from '../../store/place.js';
import { describeInBrowser, lookAgain, openPage, openWatched, seen } from '../browser.js';
import { serveDashboard } from '../serving.js';

const NOBODY = '127.0.0.1:1';

describeInBrowser('the overview', () => {
  it('moves while saves come, and are committed', async () => {
    const place = await testPlace();
    const store = testStore(place);
    const page = await openPage((await serveDashboard(place)).server.url);
    const tile = (label: string) => page.locator('.tile').filter({ hasText: label });
    await seen(tile('Waiting jobs').getByText('0', { exact: true }));
    await seen(page.getByText('No worker runs.'));
    await store.save(newCheckpoint());
    await seen(tile('Waiting jobs').getByText('1', { exact: true }));
    await startWriter(place);
    await seen(tile('Committed a second').getByText('1 in all'));
    await seen(tile('Waiting jobs').getByText('0', { exact: true }));
    await seen(page.getByRole('table', { name: 'Workers' }).getByText('takes jobs'));
  });

  it('says which worker waits for PostgreSQL, and why', async () => {
    const place = await testPlace();
    const waiting = { breaker: 'open', breakerSince: Date.now() - 90_000 } as const;
    const why = { failure: 'too many connections', sqlState: '53300' };
    await new WorkerRegistry(place.client, place.keys).report({ ...waiting, ...why });
    const page = await openPage((await serveDashboard(place)).server.url);
    const row = page.getByRole('table', { name: 'Workers' }).getByRole('row').nth(1);
    await seen(row.getByText('too many connections (SQLSTATE 53300)'));
    expect(await row.textContent()).toMatch(/waits for PostgreSQL for 1 min/);
    await seen(page.locator('.tile[data-state="bad"]').getByText('1 waits for PostgreSQL'));
  });

  it('draws three charts, and draws them again when the colours change', async () => {
    const page = await openPage((await serveDashboard(await testPlace())).server.url);
    const drawn = (line: string) => expect.poll(() => chartsWith(page, line)).toEqual([true, true, true]);
    await drawn('226,229,234');
    await page.emulateMedia({ colorScheme: 'dark' });
    await drawn('42,48,58');
  });

  it('says that the server is away, and goes on when it is back', async () => {
    const place = await testPlace();
    const { server: first } = await serveDashboard(place);
    const { page } = await openWatched(first.url);
    await seen(page.getByText('Redis up'));
    const port = Number(new URL(first.url).port);
    await first.close();
    await lookAgain(page);
    const banner = page.getByRole('alert').getByText('The dashboard’s server does not answer.');
    await seen(banner);
    await serveDashboard(place, { port });
    await lookAgain(page);
    await banner.waitFor({ state: 'detached' });
    await seen(page.getByText('Redis up'));
  });

  it('says which service is down, and that there is nothing to draw', async () => {
    const place = await testPlace();
    const away = { redis: `redis://${NOBODY}`, postgres: `postgres://${NOBODY}/nothing` };
    const page = await openPage((await serveDashboard({ ...place, ...away })).server.url);
    await seen(page.getByRole('alert').getByText('Redis does not answer.'));
    await seen(page.getByRole('alert').getByText('PostgreSQL does not answer.'));
    await seen(page.getByText('No samples yet.'));
  });
});

describeInBrowser('every part', () => {
  it('says nothing in the console, and needs no more than a narrow window', async () => {
    const place = await testPlace();
    await startWriter(place);
    const { url } = (await serveDashboard(place)).server;
    for (const width of [1000, 400]) {
      const page = await openPage(url, { viewport: { width, height: 800 } });
      await seen(page.getByText('takes jobs'));
      for (const name of ['Dead letters', 'Executions', 'Overview']) {
        await page.getByRole('navigation').getByRole('link', { name }).click();
        await seen(page.getByRole('heading', { name, level: 1 }));
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
      }
    }
  });

  it('leads to the jobs of the queue', async () => {
    const place = await testPlace();
    const { page, complaints } = await openWatched((await serveDashboard(place)).server.url);
    await page.getByRole('link', { name: 'Queues' }).click();
    await seen(page.getByText(place.queue, { exact: true }).first());
    // bull-board's page would like another font, from elsewhere.
    expect(complaints.filter((text) => !text.includes('fonts.googleapis.com'))).toEqual([]);
  });
});

/** Of each chart, whether it has a pixel of this colour, as `42,48,58`: that of the lines behind what is drawn. */
function chartsWith(page: Page, colour: string): Promise<boolean[]> {
  return page.evaluate(`[...document.querySelectorAll('figure canvas')].map((canvas) => {
    const { width, height } = canvas;
    const copy = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, width, height);
    for (let at = 0; at < data.length; at += 4) {
      if (data.slice(at, at + 3).join() === "${colour}") return true;
    }
    return false;
  })`);
}
