/** Whether it is a whole number between two bounds, which it may be. Texts and bigints are none. */
export function isWhole(value: unknown, minimum: number, maximum = Number.MAX_SAFE_INTEGER): value is number {
  return Number.isSafeInteger(value) && (value as number) >= minimum && (value as number) <= maximum;
}

/** Whether it is a number between two bounds, which it may be; Infinity, too, where there is no upper one. */
export function isWithin(
  value: unknown,
  minimum: number,
  maximum = Number.POSITIVE_INFINITY,
): value is number {
  return typeof value === 'number' && value >= minimum && value <= maximum;
}
