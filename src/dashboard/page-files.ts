import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import type { Door } from './door.js';

/** Stands beside this file, in the sources as in the built package. */
const PAGE_FOLDER = fileURLToPath(new URL('./page/', import.meta.url));
/** The only files of packages that are served. */
const VENDOR_FILES = ['uPlot.esm.js', 'uPlot.min.css'];

/**
 * The files of the page. They are in the public package and hold no data, so that who has not signed in may have them, but for the
 * page itself, in whose place he gets the one to sign in.
 */
export async function pageFiles(scope: FastifyInstance, door: Door, basePath: string): Promise<void> {
  const redirectStrangers = door.redirectStrangers(basePath);
  scope.addHook('onRequest', async (request, reply) => {
    const [path] = request.url.slice(basePath.length).split('?', 1);
    return path === '/' || path === '/index.html' ? redirectStrangers(request, reply) : undefined;
  });
  const common = { decorateReply: false, dotfiles: 'ignore', cacheControl: false } as const;
  await scope.register(fastifyStatic, { ...common, root: PAGE_FOLDER, prefix: '/' });
  const vendor = join(dirname(createRequire(import.meta.url).resolve('uplot/package.json')), 'dist');
  await scope.register(fastifyStatic, {
    ...common,
    root: vendor,
    prefix: '/vendor/',
    allowedPath: (path) => VENDOR_FILES.includes(path.replace(/^\//, '')),
  });
}
