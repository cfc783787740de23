import { readdirSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';
import type { Scope } from './scope.js';

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
};

/**
 * Serves each file that is in the folder now, and in folders of it, under its name. Nothing else can be asked for. `index.html` is also
 * at the path itself.
 * @param only the names of the files, if not all
 */
export function serveFiles(scope: Scope, folder: string, only?: readonly string[]): void {
  for (const found of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const file = join(folder, found);
    const name = found.split(sep).join('/');
    if (!statSync(file).isFile()) continue;
    if (only && !only.includes(name)) continue;
    const type = TYPES[extname(name)] ?? 'application/octet-stream';
    const paths = name === 'index.html' ? ['/', '/index.html'] : [`/${name}`];
    for (const path of paths)
      scope.get(path, async (_, reply) => reply.type(type).send(await readFile(file)));
  }
}
