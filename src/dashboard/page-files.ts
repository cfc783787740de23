import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Scope } from '../http/scope.js';
import { serveFiles } from '../http/static-files.js';
import type { Door } from './door.js';

/** Stands beside this file, in the sources as in the built package. */
const PAGE_FOLDER = fileURLToPath(new URL('./page/', import.meta.url));
/** The only files of packages that are served. */
const VENDOR_FILES = ['uPlot.esm.js', 'uPlot.min.css'];

/**
 * The files of the page. They are in the public package and hold no data, so that who has not signed in may have them, but for the
 * page itself, in whose place he gets the one to sign in.
 */
export function pageFiles(scope: Scope, door: Door, basePath: string): void {
  const redirectStrangers = door.redirectStrangers(basePath);
  scope.before(async (request, reply) => {
    const isPage = [`${basePath}/`, `${basePath}/index.html`].includes(request.path);
    if (isPage) await redirectStrangers(request, reply);
  });
  serveFiles(scope, PAGE_FOLDER);
  const vendor = join(dirname(createRequire(import.meta.url).resolve('uplot/package.json')), 'dist');
  serveFiles(scope.within('/vendor'), vendor, VENDOR_FILES);
}
