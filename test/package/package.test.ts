import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { build } from 'esbuild';
import { publint } from 'publint';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { testPlace } from '../store/place.js';
import { Consumer, pack, run } from './consumer.js';
import { BUNDLED, REQUIRES, TYPED_APPLICATION, TYPED_COMMONJS, TYPED_GRAPH_APPLICATION } from './programs.js';

/** A build and two installs come first; on a machine with other work, and a slow registry, each takes minutes. */
const SETUP_TIMEOUT_MS = 900_000;
const TIMEOUT_MS = 300_000;
/** Peers of the entry for LangGraph, and what a program in TypeScript for Node has. */
const FURTHER_PACKAGES = ['@langchain/core@^1', '@langchain/langgraph-checkpoint@^1', '@types/node@^20'];
/** npm from 11.16 on tells of packages that would run a script: `msgpackr-extract`, an optional dependency of BullMQ's `msgpackr`. */
const OF_SCRIPTS = /^npm warn install-scripts/;
const NODE_NEXT = { module: 'NodeNext', moduleResolution: 'NodeNext' };
const APPLICATION = ['application.ts', 'graph.ts'];
const MODULES = [
  { ...NODE_NEXT, files: [...APPLICATION, 'commonjs.cts'] },
  { module: 'ESNext', moduleResolution: 'Bundler', files: ['application.ts'] },
];

/** Without it nothing can be installed: then this is left out, but for CI, where it fails. */
const registry = (await run('.', 'npm', ['view', 'ms', 'version'])).code === 0;

let folder: string;
let tarball: string;
let consumer: Consumer;
/** Of the install of the package alone, and of the second one, with its peers. */
let installs: { warnings: string[]; failure?: string }[];

describe.skipIf(!registry && !process.env.CI)('the package, installed from its tarball', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'checkpoint-queue-packed-'));
    tarball = await pack(folder);
    consumer = await Consumer.create({ type: 'module' });
    installs = [
      await consumer.install('--engine-strict', '--strict-peer-deps', tarball),
      await consumer.install('--strict-peer-deps', ...FURTHER_PACKAGES),
    ];
    await consumer.write('application.ts', TYPED_APPLICATION);
    await consumer.write('graph.ts', TYPED_GRAPH_APPLICATION);
    await consumer.write('commonjs.cts', TYPED_COMMONJS);
    await consumer.write('requires.cjs', REQUIRES);
    await consumer.write('bundled.mjs', BUNDLED);
  }, SETUP_TIMEOUT_MS);

  afterAll(async () => {
    await consumer?.remove();
    await rm(folder, { recursive: true });
  });

  it('is installed without a warning, alone and beside its peers', () => {
    for (const { warnings, failure } of installs) {
      expect(failure).toBeUndefined();
      expect(warnings.filter((line) => !OF_SCRIPTS.test(line))).toEqual([]);
    }
  });

  it('brings a command line that runs', { timeout: TIMEOUT_MS }, async () => {
    const { code, stdout, stderr } = await run(consumer.folder, 'node_modules/.bin/ckpt', ['--version']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.trim()).toBe(JSON.parse(await readFile('package.json', 'utf8')).version);
  });

  it('is what publint and Are The Types Wrong expect of ES modules', { timeout: TIMEOUT_MS }, async () => {
    const data = await readFile(tarball);
    const bytes = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer;
    expect((await publint({ pack: { tarball: bytes } })).messages).toEqual([]);
    const analysis = await checkPackage(createPackageFromTarballData(new Uint8Array(data)));
    const problems = 'problems' in analysis ? analysis.problems : ['no types'];
    // Before Node 12.7 there were no exports, and CommonJS that is compiled for Node 16 cannot require ES modules.
    const old = /"resolutionKind":"(node10|node16-cjs)"/;
    expect(problems.filter((problem) => !old.test(JSON.stringify(problem)))).toEqual([]);
  });

  it.each(MODULES)(
    'compiles strictly for $moduleResolution, without the types of pg',
    {
      timeout: TIMEOUT_MS,
    },
    async ({ files, ...modules }) => {
      const errors = await consumer.compile(files, { ...modules, exactOptionalPropertyTypes: true });
      // With this option LangChain's own declarations do not compile.
      expect(errors.filter((line) => !/^node_modules\/(@langchain|langsmith)\//.test(line))).toEqual([]);
    },
  );

  it('compiles with the entry for LangGraph, and with all that this imports', {
    timeout: TIMEOUT_MS,
  }, async () => {
    expect(await consumer.compile(['graph.ts'], NODE_NEXT)).toEqual([]);
  });

  it.runIf('require_module' in process.features && process.features.require_module)(
    'is loaded by require()',
    { timeout: TIMEOUT_MS },
    async () => {
      expect(await consumer.node('requires.cjs')).toEqual({
        code: 0,
        stdout: 'function,function,function,function\n',
        stderr: '',
      });
    },
  );

  it.each([
    // Packages in CommonJS that are bundled into an ES module look for `require`.
    [
      'esm',
      'mjs',
      "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    ],
    ['cjs', 'cjs', ''],
  ] as const)(
    'works when esbuild has bundled it as %s',
    { timeout: TIMEOUT_MS },
    async (format, extension, js) => {
      const place = await testPlace();
      const outside = await mkdtemp(join(tmpdir(), 'checkpoint-queue-bundle-'));
      onTestFinished(() => rm(outside, { recursive: true }));
      const { warnings } = await build({
        entryPoints: [join(consumer.folder, 'bundled.mjs')],
        outfile: join(outside, `bundle.${extension}`),
        ...{ bundle: true, platform: 'node', target: 'node20', format, banner: { js }, logLevel: 'silent' },
      });
      expect(warnings).toEqual([]);
      const { redis, postgres, queue, schema } = place;
      const argument = JSON.stringify({ redis, postgres, queue, schema });
      const { code, stdout, stderr } = await run(outside, process.execPath, [
        `bundle.${extension}`,
        argument,
      ]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(JSON.parse(stdout)).toEqual({ outcome: 'committed', state: { bundled: true }, put: true });
    },
  );
});
