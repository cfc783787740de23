import { expect, it } from 'vitest';
import type { CheckpointInput } from '../../../src/index.js';
import { startWriter, testPlace, testStore } from '../../store/place.js';
import { describeInBrowser, openPage, openWatched, seen } from '../browser.js';
import { serveDashboard } from '../serving.js';

/** An execution of these states, a second and a half from one to the next, and the page that shows it. */
async function executionOf(states: CheckpointInput['state'][], executionId = 'run') {
  const place = await testPlace();
  const store = testStore(place);
  const writer = await startWriter(place);
  await store.saveBatch(
    states.map((state, index) => ({
      id: `${executionId}:${index}`,
      executionId,
      nodeName: `node ${index}`,
      state,
      version: index + 1,
      timestamp: new Date(Date.UTC(2026, 0, 1) + 1500 * index),
    })),
  );
  await store.flush();
  await writer.close();
  const { server: dashboard } = await serveDashboard(place);
  return {
    store,
    url: `${dashboard.url}#/executions/${encodeURIComponent(executionId)}`,
    home: dashboard.url,
  };
}

describeInBrowser('executions', () => {
  it('show their checkpoints in order, with the time between them', async () => {
    const { url } = await executionOf([{}, {}, {}]);
    const page = await openPage(url);
    const items = page.getByRole('region', { name: 'Checkpoints, oldest first' }).getByRole('listitem');
    await seen(items.first());
    const texts = await items.allTextContents();
    expect(texts.map((text) => /node \d/.exec(text)?.[0])).toEqual(['node 0', 'node 1', 'node 2']);
    expect(texts.map((text) => text.slice(0, 6))).toEqual(['firstn', '+1.5 s', '+1.5 s']);
  });

  it('show what changed from one checkpoint to the next, and the whole of it, when asked', async () => {
    const { url } = await executionOf([
      { step: 'secret one', messages: ['hello'] },
      { step: 'secret two', messages: ['hello', 'secret answer'] },
    ]);
    const page = await openPage(url);
    await page.getByRole('button', { name: 'node 1' }).click();
    await seen(page.getByRole('heading', { name: 'run:1' }));
    expect(await page.content()).not.toContain('secret');
    await page.getByRole('button', { name: 'Difference to the one before' }).click();
    await seen(page.getByText('1 added, 1 changed.'));
    const changes = page.getByRole('list', { name: '2 changes' }).getByRole('listitem');
    expect((await changes.allTextContents()).sort()).toEqual([
      '+messages[1]added"secret answer"',
      '~stepchanged"secret one""secret two"',
    ]);
    await page.getByRole('button', { name: 'Whole state' }).click();
    await seen(page.getByRole('region', { name: 'State' }).getByText('secret answer'));
    await page.getByRole('button', { name: 'node 0' }).click();
    await seen(page.getByRole('heading', { name: 'run:0' }));
    expect(await page.content()).not.toContain('secret');
    await page.getByRole('button', { name: 'Difference to the one before' }).click();
    await seen(page.getByText('It is the first checkpoint'));
  });

  it('show HTML in a state, and in names, as the text that it is', async () => {
    const html = '<img src="x" onerror="window.ran = 1"><script>window.ran = 1</script>';
    const { url } = await executionOf([{ [html]: html }, { [html]: `${html}!` }], `run ${html}`);
    const page = await openPage(url);
    await page.getByRole('button', { name: 'node 1' }).click();
    await page.getByRole('button', { name: 'Whole state' }).click();
    await seen(page.getByRole('region', { name: 'State' }).getByText('<script>'));
    await page.getByRole('button', { name: 'Difference to the one before' }).click();
    await seen(page.getByRole('list', { name: '1 change' }).getByText('onerror').first());
    expect(await page.locator('main img, main script').count()).toBe(0);
    expect(await page.evaluate('"ran" in window')).toBe(false);
  });

  it('tell what is acknowledged and not committed', async () => {
    const { store, url } = await executionOf([{}]);
    const page = await openPage(url);
    await seen(page.getByRole('button', { name: 'node 0' }));
    await store.save({ id: 'waiting', executionId: 'run', nodeName: 'node', state: {} });
    await page.getByRole('button', { name: 'Refresh' }).click();
    await seen(page.getByText('What is acknowledged in 1 job is not committed yet.'));
  });

  it('are found in the list of those saved last, or by their id, whatever that is made of', async () => {
    const executionId = 'run/1 #?%2F&ä';
    const { home } = await executionOf([{}], executionId);
    const page = await openPage(`${home}#/executions`);
    await page.getByRole('link', { name: executionId }).click();
    await seen(page.getByRole('button', { name: 'node 0' }));
    await page.getByRole('link', { name: 'Executions', exact: true }).first().click();
    await page.getByLabel('Execution id').fill(executionId);
    await page.keyboard.press('Enter');
    await seen(page.getByRole('button', { name: 'node 0' }));
    await page.goto(`${home}#/executions/nobody`);
    await seen(page.getByText('Nothing of this execution is committed.'));
  });

  it('of more than a page begin with the newest, and are turned round by a click', async () => {
    const { url } = await executionOf(Array.from({ length: 120 }, (_, index) => index));
    const page = await openPage(url);
    const items = page.getByRole('listitem');
    const newestFirst = page.getByRole('region', { name: 'Checkpoints, newest first' });
    const oldestFirst = page.getByRole('region', { name: 'Checkpoints, oldest first' });
    await seen(newestFirst.getByRole('button', { name: 'node 119' }));
    expect(await items.first().textContent()).toMatch(/^\+1\.5 snode 119/);
    expect(await items.last().textContent()).toMatch(/^\+1\.5 snode 20v/);
    // Twice before the page has come.
    await page.evaluate(
      "const older = document.querySelector('.pager button:last-child'); older.click(); older.click()",
    );
    await seen(newestFirst.getByRole('button', { name: 'node 19' }));
    await seen(page.getByText('page 2'));
    expect(await items.last().textContent()).toMatch(/^firstnode 0/);
    await page.getByRole('button', { name: 'Newer' }).click();
    await seen(page.getByRole('button', { name: 'node 119' }));

    await page.getByRole('button', { name: 'Show oldest first' }).click();
    await seen(oldestFirst.getByRole('button', { name: 'node 99' }));
    expect(await items.first().textContent()).toMatch(/^firstnode 0/);
    await page.getByRole('button', { name: 'Newer' }).click();
    await seen(oldestFirst.getByRole('button', { name: 'node 119' }));
    expect(await items.first().textContent()).toMatch(/^\+1\.5 snode 100/);
    await seen(page.getByRole('button', { name: 'Show newest first' }));
  });

  it.each([
    ['of a page', 10],
    ['before a page', 11],
  ])('%s that are deleted meanwhile lead back to the beginning', async (_, count) => {
    const { store, url } = await executionOf(Array.from({ length: 110 }, (_, index) => index));
    const { page } = await openWatched(url);
    await seen(page.getByRole('button', { name: 'node 109' }));
    for (let index = 0; index < count; index++) await store.delete(`run:${index}`);
    await page.getByRole('button', { name: 'Older' }).click();
    await seen(page.getByRole('region', { name: 'Checkpoints, oldest first' }));
    await seen(page.getByRole('button', { name: 'node 109' }));
    await page.getByRole('navigation', { name: 'Pages' }).waitFor({ state: 'hidden' });
  });
});
