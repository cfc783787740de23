/**
 * An error of the same class, message, fields and stack. Where one failure rejects several callers, each gets a copy: what one of them
 * makes of its own, as by setting a cause, the others must not see.
 */
export function errorCopy<E>(error: E): E {
  if (!(error instanceof Error)) return error;
  // Made as an Error, so that it is one to those who ask the engine, as `util.types.isNativeError` does.
  const copy = Object.setPrototypeOf(new Error(), Object.getPrototypeOf(error));
  return Object.defineProperties(copy, Object.getOwnPropertyDescriptors(error));
}
