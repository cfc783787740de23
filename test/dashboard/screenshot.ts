import { mkdir, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { WorkerReplicas } from '../../src/cli/demo/worker-replicas.js';
import { DashboardServer } from '../../src/dashboard/server.js';
import { DEFAULT_PREFIX } from '../../src/redis/queue-keys.js';
import { type LocalServices, startLocalServices } from '../../src/services/local-services.js';
import { findChromium, launchChromium } from './chromium.js';
import { ShownLoad } from './shown-load.js';

/** Makes the pictures of the documentation: a dashboard of services, workers and agents that are there only for this. */

const FOLDER = fileURLToPath(new URL('../../docs/', import.meta.url));
const WORKERS = 3;
/** As much as the charts show at least. */
const LOAD_MS = 125_000;
const MAX_BYTES = 300_000;
const QUEUE = 'checkpoint-writes';

async function main(): Promise<void> {
  const found = await findChromium({ onProgress: console.log });
  if ('missing' in found) throw new Error(found.missing);
  // Never those of this machine: what is shown is made here.
  const { DATABASE_URL: _, REDIS_URL: __, ...env } = process.env;
  const services = await startLocalServices({ env, onProgress: console.log });
  const replicas = new WorkerReplicas();
  const load = new ShownLoad(services, QUEUE);
  let server: DashboardServer | undefined;
  let browser: Browser | undefined;
  try {
    await load.prepare();
    await replicas.start(WORKERS, workerSettings(services));
    server = await DashboardServer.start(dashboardConfig(services));
    browser = await launchChromium(found.path);
    const page = await openPage(browser, server.url);
    console.log(`letting agents save for ${LOAD_MS / 1000} s`);
    await load.run(LOAD_MS);
    await takeAll(page, server.url, load.executionId);
  } finally {
    await browser?.close();
    await server?.close();
    await load.close();
    await replicas.stop();
    await services.stop();
  }
}

function workerSettings({ databaseUrl, redisUrl }: LocalServices): NodeJS.ProcessEnv {
  return { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, CKPT_QUEUE: QUEUE, CKPT_LOG_LEVEL: 'warn' };
}

function dashboardConfig({ databaseUrl, redisUrl }: LocalServices) {
  return {
    ...{
      redis: redisUrl,
      postgres: databaseUrl,
      queue: QUEUE,
      prefix: DEFAULT_PREFIX,
      schema: 'public',
      table: 'checkpoints',
    },
    ...{ enqueueTimeoutMs: 5000, host: '127.0.0.1', port: 0 },
  };
}

/** The names of workers are told as those of other machines. */
async function openPage(browser: Browser, url: string): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 }, colorScheme: 'light' });
  await page.route('**/api/overview*', async (route) => {
    const response = await route.fetch();
    const overview = await response.json();
    for (const [index, worker] of overview.workers.entries()) {
      worker.name = worker.name.replace(hostname(), `agents-${index + 1}`);
    }
    await route.fulfill({ response, json: overview });
  });
  await page.goto(url);
  return page;
}

async function takeAll(page: Page, url: string, executionId: string): Promise<void> {
  await mkdir(FOLDER, { recursive: true });
  await take(page, 'dashboard.png');
  await page.goto(`${url}#/dead-letters`);
  await page.getByRole('table').waitFor();
  await page.getByRole('checkbox').nth(2).check();
  await take(page, 'dashboard-dead-letters.png');
  await page.goto(`${url}#/executions/${executionId}`);
  await page.getByRole('button', { name: 'compare' }).first().click();
  await page.getByRole('button', { name: 'Difference to the one before' }).click();
  await page.getByText('Compared with').waitFor();
  await take(page, 'dashboard-timeline.png');
}

async function take(page: Page, name: string): Promise<void> {
  const path = `${FOLDER}${name}`;
  await page.screenshot({ path });
  const { size } = await stat(path);
  if (size > MAX_BYTES) throw new Error(`${name} has ${size} bytes, more than ${MAX_BYTES}`);
  console.log(`${path}: ${size} bytes`);
}

await main();
