import type { JsonObject, JsonValue } from '../json.js';

/** Objects are merged, one level deep; everything else is replaced. */
export function mergedState(state: JsonValue | undefined, values: JsonValue): JsonValue {
  return isObject(state) && isObject(values) ? { ...state, ...values } : values;
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
