import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Compiles the library and the benchmark, as the package is delivered: a process that compiles what it loads, as the benchmark
 * does otherwise, holds 40 MB more for that alone.
 * @returns the folder with the compiled `bench`
 */
export async function compileBench(signal: AbortSignal): Promise<string> {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  await promisify(execFile)(process.execPath, [tsc, '-p', join(ROOT, 'tsconfig.bench.json')], { signal });
  return join(ROOT, 'bench', 'compiled', 'bench');
}
