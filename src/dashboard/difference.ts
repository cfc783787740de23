import type { JsonObject, JsonValue } from '../json.js';

/** One place at which two JSON values differ. */
export interface Change {
  /** From the top: keys of objects, places in arrays. Empty: the whole value. */
  readonly path: readonly (string | number)[];
  readonly kind: 'added' | 'removed' | 'changed';
  readonly before?: JsonValue;
  readonly after?: JsonValue;
}

export interface Difference {
  readonly changes: readonly Change[];
  /** There are more. */
  readonly truncated: boolean;
}

const MAX_CHANGES = 2000;

/** What has to be done to one value to get the other. Arrays are compared place by place. */
export function differenceOf(before: JsonValue, after: JsonValue, limit = MAX_CHANGES): Difference {
  const changes: Change[] = [];
  for (const change of changesBetween(before, after, [])) {
    if (changes.length === limit) return { changes, truncated: true };
    changes.push(change);
  }
  return { changes, truncated: false };
}

function* changesBetween(
  before: JsonValue,
  after: JsonValue,
  path: readonly (string | number)[],
): Generator<Change> {
  if (before === after) return;
  if (Array.isArray(before) && Array.isArray(after)) {
    const length = Math.max(before.length, after.length);
    for (let index = 0; index < length; index++) {
      const at = [...path, index];
      if (index >= after.length) yield { path: at, kind: 'removed', before: before[index] };
      else if (index >= before.length) yield { path: at, kind: 'added', after: after[index] };
      else yield* changesBetween(before[index] as JsonValue, after[index] as JsonValue, at);
    }
  } else if (isObject(before) && isObject(after)) {
    for (const [key, value] of Object.entries(before)) {
      const at = [...path, key];
      // A state may have keys that every object inherits: `constructor`, say.
      if (Object.hasOwn(after, key)) yield* changesBetween(value, after[key] as JsonValue, at);
      else yield { path: at, kind: 'removed', before: value };
    }
    for (const [key, value] of Object.entries(after)) {
      if (!Object.hasOwn(before, key)) yield { path: [...path, key], kind: 'added', after: value };
    }
  } else {
    yield { path, kind: 'changed', before, after };
  }
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
