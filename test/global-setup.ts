import type { TestProject } from 'vitest/node';
import { startLocalServices } from '../src/services/local-services.js';
import './services.js';

/** Starts PostgreSQL and Redis once for the whole test run; returns what stops them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const local = await startLocalServices({ onProgress: (message) => console.log(message) });
  project.provide('databaseUrl', local.databaseUrl);
  project.provide('redisUrl', local.redisUrl);
  return () => local.stop();
}
