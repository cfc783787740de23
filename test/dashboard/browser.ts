import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished } from 'vitest';
import { findChromium, launchChromium } from './chromium.js';

const found = await findChromium({ onProgress: (message) => console.log(message) });
const missing = 'missing' in found ? found.missing : undefined;
if (missing !== undefined && process.env.CI) throw new Error(missing);
if (missing !== undefined) console.warn(`the dashboard's page is not tested: ${missing}`);

const WAIT_MS = 10_000;

let browser: Browser;

/** Tests that share a browser; left out where there is none, but for CI. */
export function describeInBrowser(name: string, tests: () => void): void {
  describe.skipIf(missing !== undefined)(name, () => {
    beforeAll(async () => {
      if ('path' in found) browser = await launchChromium(found.path);
    });
    afterAll(() => browser?.close());
    tests();
  });
}

/** A page as a person has it open, and what its console says. */
export interface OpenPage {
  page: Page;
  /** Errors and warnings, broken rules of the Content-Security-Policy among them. */
  complaints: string[];
}

/** Opens a page in a browser that knows nothing yet; gone with the test. */
export async function openWatched(url: string, options: BrowserContextOptions = {}): Promise<OpenPage> {
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
  onTestFinished(() => context.close());
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  await page.goto(url);
  return { page, complaints };
}

/** A page whose console stays silent; the test fails otherwise. */
export async function openPage(url: string, options: BrowserContextOptions = {}): Promise<Page> {
  const { page, complaints } = await openWatched(url, options);
  onTestFinished(() => expect(complaints).toEqual([]));
  return page;
}

/** As when a person comes back to the tab: what is asked for every two seconds is asked for now. */
export async function lookAgain(page: Page): Promise<void> {
  await page.evaluate('document.dispatchEvent(new Event("visibilitychange"))');
}

/** Waits until there is one. */
export async function seen(locator: Locator): Promise<void> {
  await locator.waitFor({ state: 'visible' });
}
