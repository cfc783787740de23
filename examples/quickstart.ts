/**
 * One agent, one worker: `npx tsx examples/quickstart.ts`.
 * Uses REDIS_URL and DATABASE_URL if they are set, else brings up both and removes them at the end.
 */
import { CheckpointWriter, QueuedCheckpointStore } from '../src/index.js';
import { startLocalServices } from '../src/services/local-services.js';

const services = await startLocalServices({ onProgress: (message) => console.error(message) });
const connections = {
  redis: services.redisUrl,
  postgres: services.databaseUrl,
  queue: 'quickstart',
  schema: 'quickstart',
};

const writer = new CheckpointWriter(connections); // in production: `ckpt worker`, as many as you like
await writer.start();

const store = new QueuedCheckpointStore(connections);
const executionId = `run-${Date.now()}`;
const messages: string[] = [];
for (const [step, nodeName] of ['plan', 'search', 'answer'].entries()) {
  messages.push(`${nodeName} did its work`);
  const { sequence } = await store.save({
    id: `${executionId}:${step}`,
    executionId,
    nodeName,
    state: { messages },
  });
  console.log(`saved ${nodeName}, sequence ${sequence}`);
}

// Another process could do this: it sees every save that was acknowledged before.
const newest = await store.latest(executionId, { consistency: 'latest' });
console.log('resume after', newest?.nodeName, 'with', newest?.state);

await store.clear(executionId);
console.log('left after clear:', (await store.list(executionId)).length);

await store.close();
await writer.close();
await services.stop();
