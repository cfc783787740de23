import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { SETTINGS } from '../../src/settings.js';
import { WriterMetrics } from '../../workers/http/metrics.js';

/** What an operator copies: a name that has changed in the code would be found out at night. */
const TEXTS = [
  'README.md',
  'docs/operations.md',
  'docs/alerts.yaml',
  'docs/kubernetes.yaml',
  'docker-compose.yml',
];
/** Read by the local services of the demo, and no setting of the product. */
const OTHER_VARIABLES = ['CKPT_NO_INSTALL'];

describe.each(TEXTS)('%s', (path) => {
  const text = readFileSync(path, 'utf8');

  test('names only metrics that a worker serves', () => {
    const served = new Set(metricNames());
    const named = [...text.matchAll(/\bckpt_[a-z_]+[a-z]/g)].map(([name]) =>
      name.replace(/_(bucket|sum|count)$/, ''),
    );
    expect(named.filter((name) => !served.has(name))).toEqual([]);
  });

  test('names only settings that there are', () => {
    const known = [...Object.values(SETTINGS).map(({ env }) => env), ...OTHER_VARIABLES];
    const named = [...text.matchAll(/\bCKPT_[A-Z_]+[A-Z]\b(?!_)/g)].map(([name]) => name);
    expect(named.filter((name) => !known.includes(name))).toEqual([]);
  });
});

test('README tells every setting', () => {
  const text = readFileSync('README.md', 'utf8');
  expect(Object.values(SETTINGS).filter(({ env }) => !text.includes(`\`${env}\``))).toEqual([]);
});

test('every metric of ours stands in the README', () => {
  const text = readFileSync('README.md', 'utf8');
  const own = metricNames().filter((name) => name.startsWith('ckpt_'));
  expect(own.length).toBeGreaterThan(10);
  expect(own.filter((name) => !text.includes(`\`${name}`))).toEqual([]);
});

function metricNames(): string[] {
  const writer = { on: () => writer } as never;
  const metrics = new WriterMetrics(writer, 'checkpoint-writes', async () => undefined);
  return metrics.registry.getMetricsAsArray().map(({ name }) => name);
}
