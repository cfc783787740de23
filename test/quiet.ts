import { inspect } from 'node:util';
import { expect } from 'vitest';
import type { Logger } from '../src/index.js';

/** Everything that a log, an error tracker or JSON could print of it, bytes as the text they are. */
export function everythingIn(value: unknown): string {
  const seen = new Set<unknown>();
  const textOf = (inner: unknown): string => {
    if (inner instanceof Uint8Array) return Buffer.from(inner).toString('latin1');
    if (typeof inner !== 'object' || inner === null || seen.has(inner)) return String(inner);
    seen.add(inner);
    return Reflect.ownKeys(inner)
      .map((name) => `${String(name)}: ${textOf(Reflect.get(inner, name))}`)
      .join('\n');
  };
  return [inspect(value, { depth: 50, showHidden: true, maxStringLength: null }), textOf(value)].join('\n');
}

export async function rejectionOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => expect.unreachable('it went through'),
    (error: unknown) => error,
  );
}

/** Keeps all that is logged. */
export function recorder(): { logger: Logger; lines: unknown[] } {
  const lines: unknown[] = [];
  const log = (fields: object, message: string) => void lines.push([fields, message]);
  return { lines, logger: { debug: log, info: log, warn: log, error: log } };
}
