import { expect, it } from 'vitest';
import { forgedLine, poisonablePlace, refused, refusedOne, testLetters } from '../../dead-letters/letters.js';
import { startWriter, testPlace } from '../../store/place.js';
import { describeInBrowser, openPage, openWatched, seen } from '../browser.js';
import { serveDashboard } from '../serving.js';

const SECRET = 'nobody is to see this';

/** Dead letters, one for each id, in an execution each, and the page that shows them. */
async function pageOf(...ids: string[]) {
  const place = await poisonablePlace();
  await refused(
    place,
    ids.map((id) => ({ id, executionId: `run of ${id}`, state: { poison: SECRET } })),
  );
  const { server: dashboard } = await serveDashboard(place);
  const url = `${dashboard.url}#/dead-letters`;
  return { place, url, letters: testLetters(place) };
}

describeInBrowser('dead letters', () => {
  it('are replayed by a click, and are committed then', async () => {
    const place = await poisonablePlace();
    const { checkpoint, sequence, deadLetterId } = await refusedOne(place);
    await refused(place, [{ id: 'other' }]);
    await place.cure();
    await startWriter(place);
    const page = await openPage(`${(await serveDashboard(place)).server.url}#/dead-letters`);
    await page.getByLabel(`Select ${deadLetterId}`).check();
    await page.getByRole('button', { name: 'Replay selected (1)' }).click();
    await seen(page.getByText('Replayed 1: 1 committed.'));
    await seen(page.getByText('1 dead letter', { exact: true }));
    const { rows } = await place.pool.query(`SELECT id, write_seq FROM ${place.schema}.checkpoints`);
    expect(rows).toEqual([{ id: checkpoint.id, write_seq: String(sequence) }]);
  });

  it('that are refused again are told, and are there again', async () => {
    const { place, url } = await pageOf('a', 'b');
    await startWriter(place);
    const page = await openPage(url);
    await page.getByRole('button', { name: 'Replay all (2)' }).click();
    await seen(page.getByText('Replayed 2: 2 refused again.'));
    const replays = page.getByRole('row').filter({ hasText: 'run of a' }).getByRole('cell').nth(7);
    await expect.poll(() => replays.textContent()).toBe('1');
  });

  it('show how far a replay is, also after a reload, and elsewhere; the waiting can be cancelled', async () => {
    const { url, letters } = await pageOf('a', 'b');
    const page = await openPage(url);
    await page.getByRole('button', { name: 'Replay all (2)' }).click();
    await seen(page.getByText('2 are in the queue again; waiting for the workers…'));
    await page.reload();
    await seen(page.getByRole('progressbar'));
    await page.getByRole('link', { name: 'Executions' }).click();
    await page.getByRole('link', { name: 'Dead letters' }).first().click();
    expect(await page.getByRole('progressbar').getAttribute('value')).toBe('2');
    await page.getByRole('button', { name: 'Cancel' }).click();
    // By itself it ends after 10 s.
    await page.getByText('Replayed 2: 2 still in the queue.').waitFor({ timeout: 5000 });
    await seen(page.getByText('There are no dead letters.'));
    expect(await letters.count()).toBe(0);
  });

  it('are narrowed down by filters, which stay in the address', async () => {
    const { url } = await pageOf('a', 'b', 'c');
    const page = await openPage(url);
    await seen(page.getByText('3 dead letters'));
    await page.getByLabel('Checkpoint begins with').fill('b');
    await page.getByRole('button', { name: 'Apply' }).click();
    await seen(page.getByText('1 match'));
    expect(await page.getByRole('table').textContent()).not.toContain('run of a');
    await page.reload();
    await seen(page.getByRole('button', { name: 'Purge all that match (1)…' }));
    await page.getByRole('button', { name: 'Clear' }).click();
    await seen(page.getByText('3 dead letters'));
    await page.getByLabel('Execution').fill('run of c');
    await page.keyboard.press('Enter');
    await seen(page.getByText('1 match'));
    await page.getByLabel('Last refused before').fill('2020-01-01T00:00:00');
    await page.keyboard.press('Enter');
    await seen(page.getByText('No dead letter matches.'));
  });

  it('say at the field what is wrong with a filter, and offer nothing to purge then', async () => {
    const { url } = await pageOf('a');
    const { page } = await openWatched(url);
    await page.getByLabel('SQLSTATE').fill('wrong');
    await page.keyboard.press('Enter');
    await seen(page.getByText('must be five digits or upper-case letters'));
    expect(await page.getByLabel('SQLSTATE').getAttribute('aria-invalid')).toBe('true');
    expect(await page.getByRole('button', { name: /^Purge all/ }).isDisabled()).toBe(true);
  });

  it('are purged only after a question that names how many', async () => {
    const { url, letters } = await pageOf('a', 'b', 'c');
    const page = await openPage(url);
    await page.getByRole('button', { name: 'Purge all (3)…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Purge 3 dead letters?' });
    await seen(dialog);
    await page.keyboard.press('Enter'); // what is in focus is the harmless one
    await dialog.waitFor({ state: 'hidden' });
    expect(await letters.count()).toBe(3);
    await page.getByLabel('Select all on this page').check();
    await page.getByRole('row').filter({ hasText: 'run of b' }).getByRole('checkbox').uncheck();
    await page.getByRole('button', { name: 'Purge selected (2)…' }).click();
    await page.getByRole('button', { name: 'Purge 2 dead letters' }).click();
    await seen(page.getByText('2 dead letters purged.'));
    expect((await letters.list()).map(({ id }) => id)).toEqual(['b']);
  });

  it('that come while one is asked are not purged', async () => {
    const { place, url, letters } = await pageOf('a', 'b');
    const page = await openPage(url);
    await page.getByRole('button', { name: 'Purge all (2)…' }).click();
    await seen(page.getByRole('dialog', { name: 'Purge 2 dead letters?' }));
    await refused(place, [{ id: 'newer' }]);
    await page.getByRole('button', { name: 'Purge 2 dead letters' }).click();
    await seen(page.getByText('2 dead letters purged.'));
    expect((await letters.list()).map(({ id }) => id)).toEqual(['newer']);
  });

  it('of a page that are gone meanwhile lead back to the beginning', async () => {
    const place = await testPlace();
    const letters = testLetters(place);
    await letters.import(Array.from({ length: 51 }, (_, n) => forgedLine(place, { sequence: n + 1 })));
    const page = await openPage(`${(await serveDashboard(place)).server.url}#/dead-letters`);
    await page.getByRole('button', { name: 'Newer' }).click();
    await seen(page.getByText('d-51', { exact: true }));
    await letters.purge({ ids: ['d-51'] });
    await page.getByRole('button', { name: 'Refresh' }).click();
    await seen(page.getByText('d-1', { exact: true }));
    await seen(page.getByText('50 dead letters', { exact: true }));
  });

  it('show nothing of a state until it is asked for', async () => {
    const { url } = await pageOf('a');
    const page = await openPage(url);
    const show = page.getByRole('button', { name: /^Show d-/ });
    await show.focus();
    await page.keyboard.press('Enter');
    await seen(page.getByText('First refused'));
    expect(await page.content()).not.toContain(SECRET);
    await page.getByRole('button', { name: 'Show what it holds' }).click();
    await seen(page.getByRole('region', { name: 'The refused checkpoint' }).getByText(SECRET));
    await show.click();
    await expect.poll(() => page.content()).not.toContain(SECRET);
  });
});
