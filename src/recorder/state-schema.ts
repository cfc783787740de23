import type { Checkpoint } from '../checkpoint.js';
import { StateMismatchError } from '../errors.js';

/** What the recorder needs of a schema: a zod schema is one. It must be synchronous. */
export interface StateSchema<S> {
  safeParse(value: unknown): StateParse<S>;
}

type StateParse<S> =
  | { readonly success: true; readonly data: S }
  | {
      readonly success: false;
      readonly error: { readonly issues: ReadonlyArray<{ readonly path: ReadonlyArray<PropertyKey> }> };
    };

/** Keys longer than this are cut in an error: they may be data. */
const MAX_KEY_LENGTH = 40;

/** @throws StateMismatchError naming where it does not fit; without a schema everything is taken for an S */
export function parseState<S>(
  schema: StateSchema<S> | undefined,
  { id, state }: Pick<Checkpoint, 'state'> & { id?: string },
): S {
  if (!schema) return state as S;
  const parsed = schema.safeParse(state);
  if (parsed.success) return parsed.data;
  // Not the schema's own error: its text may hold values.
  throw new StateMismatchError(pathText(parsed.error.issues[0]?.path ?? []), id);
}

function pathText(path: ReadonlyArray<PropertyKey>): string {
  return `state${path.map(stepText).join('')}`;
}

function stepText(key: PropertyKey): string {
  if (typeof key === 'number') return `[${key}]`;
  const name = String(key);
  if (/^[A-Za-z_$][\w$]*$/.test(name) && name.length <= MAX_KEY_LENGTH) return `.${name}`;
  return `[${JSON.stringify(name.length > MAX_KEY_LENGTH ? `${name.slice(0, MAX_KEY_LENGTH)}…` : name)}]`;
}
