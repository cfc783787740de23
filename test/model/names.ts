import type { Read, Removal, Save } from './history.js';

/** How complaints and counterexamples name what happened. */
export function nameOf({ token, id, version, sequence }: Save): string {
  return `save ${token} (${id} v${version} #${sequence})`;
}

export function removalName({ scope, key, called }: Removal): string {
  return `${scope === 'checkpoint' ? 'delete' : 'clear'} ${key} (called at ${called})`;
}

export function readName({ view, key, called }: Read): string {
  return `${view} ${key} (called at ${called})`;
}
