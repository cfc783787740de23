import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { dockerAnswers } from '../../src/services/containers.js';

describe('dockerAnswers', () => {
  it('is true where an engine answers a ping', async () => {
    const engine = await startEngine((request, response) =>
      response.end(request.url === '/_ping' ? 'OK' : ''),
    );
    expect(await dockerAnswers({ DOCKER_HOST: engine })).toBe(true);
  });

  it('is false where nothing answers in a second, or nothing is', async () => {
    const mute = await startEngine(() => {});
    expect(await dockerAnswers({ DOCKER_HOST: mute })).toBe(false);
    expect(await dockerAnswers({ DOCKER_HOST: 'unix:///nonexistent/docker.sock' })).toBe(false);
    expect(await dockerAnswers({ DOCKER_HOST: 'not a URL' })).toBe(false);
  });
});

async function startEngine(answer: RequestListener): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'checkpoint-queue-test-'));
  const socket = join(folder, 'docker.sock');
  const engine = createServer(answer).listen(socket);
  await once(engine, 'listening');
  onTestFinished(async () => {
    engine.close();
    engine.closeAllConnections();
    await rm(folder, { recursive: true });
  });
  return `unix://${socket}`;
}
