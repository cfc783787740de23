import { onTestFinished } from 'vitest';
import type { CheckpointWriter } from '../../src/index.js';
import type { Readiness } from '../../workers/http/readiness.js';
import { WorkerHttp, type WorkerHttpConfig } from '../../workers/http/server.js';
import type { Place } from '../store/place.js';

/** Serves a writer's health and metrics at a free port; closed with the test. */
export async function serve(
  writer: CheckpointWriter,
  { redis, postgres, schema, queue, keys }: Place,
  config: Partial<WorkerHttpConfig> = {},
): Promise<WorkerHttp> {
  const place = { redis, postgres, schema, queue, prefix: keys.prefix, table: 'checkpoints' };
  const http = await WorkerHttp.start(writer, { ...place, httpHost: '127.0.0.1', httpPort: 0, ...config });
  onTestFinished(() => http.close());
  return http;
}

export async function readyz({ url }: WorkerHttp): Promise<Readiness & { status: number }> {
  const response = await fetch(`${url}/readyz`);
  return { status: response.status, ...((await response.json()) as Readiness) };
}

/** The samples of `/metrics` by name and labels, as `ckpt_queue_jobs{state="waiting"}`. */
export async function metricsOf({ url }: WorkerHttp): Promise<Map<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(' ');
      // The queue stands on each of them.
      const sample = line
        .slice(0, space)
        .replace(/,?queue="[^"]*"/, '')
        .replace('{}', '');
      return [sample, Number(line.slice(space + 1))];
    }),
  );
}
