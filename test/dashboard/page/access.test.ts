import { expect, it } from 'vitest';
import { testPlace } from '../../store/place.js';
import { describeInBrowser, lookAgain, openWatched, seen } from '../browser.js';
import { serveDashboard } from '../serving.js';

const token = 'a token that only this test knows';

describeInBrowser('with a token', () => {
  it('lets in who has it, and leads on to where one wanted to go', async () => {
    const { server: dashboard } = await serveDashboard(await testPlace(), { token });
    const { page } = await openWatched(`${dashboard.url}#/executions`);
    await page.waitForURL('**/login.html#/executions');
    await page.getByLabel('Token').fill(token);
    await page.keyboard.press('Enter');
    await seen(page.getByRole('heading', { name: 'Executions' }));
  });

  it('asks nobody for it who is signed in and follows a link from another site', async () => {
    const { server: dashboard } = await serveDashboard(await testPlace(), { token });
    const { page } = await openWatched(dashboard.url);
    await page.getByLabel('Token').fill(token);
    await page.keyboard.press('Enter');
    await seen(page.getByRole('heading', { name: 'Overview' }));
    await page.route('http://chat.example/', (route) =>
      route.fulfill({
        contentType: 'text/html',
        body: `<a href="${dashboard.url}#/executions/run">look at run</a>`,
      }),
    );
    await page.goto('http://chat.example/');
    await page.getByRole('link').click();
    await seen(page.getByRole('heading', { name: 'run' }));
  });

  it('says that a token is wrong, and lets nobody in', async () => {
    const { server: dashboard } = await serveDashboard(await testPlace(), { token });
    const { page } = await openWatched(dashboard.url);
    await page.getByLabel('Token').fill('guessed');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await seen(page.getByRole('alert').getByText('That is not the token.'));
    await page.goto(dashboard.url);
    await page.waitForURL('**/login.html');
  });

  it('asks for it again after one has signed out, also in a page that is open', async () => {
    const { server: dashboard } = await serveDashboard(await testPlace(), { token });
    const { page } = await openWatched(dashboard.url);
    await page.getByLabel('Token').fill(token);
    await page.keyboard.press('Enter');
    await seen(page.getByRole('button', { name: 'Sign out' }));
    const other = await page.context().newPage();
    await other.goto(`${dashboard.url}#/dead-letters`);
    await seen(other.getByRole('heading', { name: 'Dead letters' }));
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.waitForURL('**/login.html');
    await lookAgain(other);
    await other.waitForURL('**/login.html#/dead-letters');
    expect(await other.content()).not.toContain('Queue ');
  });
});
