import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type ProgramResult, resultOf } from '../child-process.js';
import { spawnGuarded } from '../guarded-child.js';

const TYPESCRIPT = resolve('node_modules/typescript/bin/tsc');
/** What is packed, and what that is built from. */
const SOURCES = [
  ...['src', 'workers', 'package.json', 'tsconfig.json', 'tsconfig.build.json'],
  ...['README.md', 'CHANGELOG.md', 'LICENSE'],
];

/** What the npm and the vitest of this run leave in the environment, but for where npm finds packages. */
const OF_THIS_RUN = /^(VITE|npm_(?!config_(registry|cache|userconfig)$))/;

/** Runs a program in a folder to its end, as from a shell of its own. */
export function run(folder: string, command: string, args: readonly string[]): Promise<ProgramResult> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !OF_THIS_RUN.test(name)));
  return resultOf(spawnGuarded(command, args, { cwd: folder, env }));
}

/**
 * The package as `npm publish` would send it, built from the sources in a folder of its own, so that `dist` here stays as it is.
 * @returns the path of the tarball
 */
export async function pack(folder: string): Promise<string> {
  const copy = join(folder, 'package');
  for (const name of SOURCES) await cp(name, join(copy, name), { recursive: true });
  await symlink(resolve('node_modules'), join(copy, 'node_modules'));
  const { code, stdout, stderr } = await run(copy, 'npm', ['pack', '--json', '--pack-destination', folder]);
  if (code !== 0) throw new Error(`npm pack failed:\n${stderr}${stdout}`);
  const [tarball] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'));
  return join(folder, tarball as string);
}

/** An application of somebody else, in a folder outside of this repository. */
export class Consumer {
  private constructor(readonly folder: string) {}

  static async create(manifest: object = {}): Promise<Consumer> {
    const consumer = new Consumer(await mkdtemp(join(tmpdir(), 'checkpoint-queue-consumer-')));
    await consumer.write('package.json', JSON.stringify({ name: 'consumer', private: true, ...manifest }));
    return consumer;
  }

  async write(name: string, content: string): Promise<void> {
    await mkdir(join(this.folder, name, '..'), { recursive: true });
    await writeFile(join(this.folder, name), content);
  }

  /** @returns what npm warns of; `failure` is what it says where it does not install */
  async install(...args: string[]): Promise<{ warnings: string[]; failure?: string }> {
    const flags = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=warn'];
    const { code, stderr } = await run(this.folder, 'npm', ['install', ...flags, ...args]);
    if (code !== 0) return { warnings: [], failure: stderr };
    return { warnings: stderr.split('\n').filter((line) => line.startsWith('npm warn')) };
  }

  /** Runs a program with Node. */
  node(...args: string[]): Promise<ProgramResult> {
    return run(this.folder, process.execPath, args);
  }

  /** Compiles the files strictly, the declarations of packages included. @returns the errors, one a line */
  async compile(files: readonly string[], options: Readonly<Record<string, unknown>>): Promise<string[]> {
    const compilerOptions = {
      ...{ target: 'ES2022', lib: ['ES2023'], types: ['node'], noEmit: true },
      ...{ strict: true, skipLibCheck: false, noUncheckedIndexedAccess: true, ...options },
    };
    await this.write('tsconfig.json', JSON.stringify({ compilerOptions, files }));
    const { code, stdout } = await this.node(TYPESCRIPT, '-p', '.', '--pretty', 'false');
    const errors = stdout.split('\n').filter((line) => / error TS\d+: /.test(line));
    if (code !== 0 && errors.length === 0) throw new Error(`the compiler failed:\n${stdout}`);
    return errors;
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true });
  }
}
