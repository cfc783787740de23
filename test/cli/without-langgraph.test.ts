import { cp, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resultOf, startProgram } from '../child-process.js';

/** Many processes start here, on a machine that has other work. */
const TIMEOUT_MS = 120_000;

/** The sources beside all packages but LangGraph, as where nobody has installed it. */
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ckpt-without-langgraph-'));
  for (const name of ['src', 'workers', 'package.json', 'tsconfig.json']) {
    await cp(name, join(folder, name), { recursive: true });
  }
  const modules = join(folder, 'node_modules');
  await mkdir(modules);
  for (const name of await readdir('node_modules')) {
    if (name !== '@langchain') await symlink(join(process.cwd(), 'node_modules', name), join(modules, name));
  }
});

afterAll(() => rm(folder, { recursive: true }));

async function ckpt(...args: string[]): Promise<{ code: number | null; output: string }> {
  const { DATABASE_URL: _, REDIS_URL: __, ...env } = process.env;
  const { code, stdout, stderr } = await resultOf(
    startProgram('src/cli/main.ts', args, { cwd: folder, env }),
  );
  return { code, output: stdout + stderr };
}

test.each([['--help'], ['config', '--json']])(
  'ckpt %s needs no LangGraph',
  async (...args) => {
    expect(await ckpt(...args)).toMatchObject({ code: 0 });
  },
  TIMEOUT_MS,
);

test(
  'a worker that cannot reach its services says that, and no word of LangGraph',
  async () => {
    const { code, output } = await ckpt('worker');

    expect(code).toBe(2);
    expect(output).toContain('DATABASE_URL is not set');
  },
  TIMEOUT_MS,
);

test(
  'the demo with graphs says what to install',
  async () => {
    const { code, output } = await ckpt('demo', '--langgraph', '--json');

    expect(code).toBe(1);
    expect(JSON.parse(output).error).toEqual({
      code: 'LANGGRAPH_MISSING',
      message: expect.stringContaining(
        'npm install @langchain/langgraph @langchain/langgraph-checkpoint @langchain/core',
      ),
    });
  },
  TIMEOUT_MS,
);
