/** Values that one estimate looks at, at most: about 50 µs. */
const MAX_VALUES = 2000;
/** Elements of an array that are looked at, of one within it a quarter, and so on: the elements of an array are much alike. */
const ARRAY_SAMPLES = 16;
/** Properties of an object that are looked at: most have fewer, and they are not alike. */
const OBJECT_SAMPLES = 64;
/** Characters of a string that are looked at. */
const TEXT_SAMPLES = 16;
const MAX_DEPTH = 100;

/** What a whole number, a boolean or null takes, about. */
const SCALAR_BYTES = 5;
const FRACTION_BYTES = 18;
/** Two quotes; of a property also colon and comma. */
const QUOTES = 2;
const PROPERTY_MARKS = 4;

/**
 * About how many bytes of UTF-8 the value has as JSON, from samples of it: for values of any size in bounded time. Never throws,
 * and calls no `toJSON`. A cycle counts once.
 */
export function estimateJsonBytes(value: unknown): number {
  try {
    return Math.ceil(new Estimate().bytesOf(value, ARRAY_SAMPLES));
  } catch {
    // A getter or a proxy that throws: whoever serialises the value says so.
    return 0;
  }
}

class Estimate {
  #valuesLeft = MAX_VALUES;
  readonly #ancestors: object[] = [];

  bytesOf(value: unknown, arraySamples: number): number {
    if (--this.#valuesLeft < 0) return 0;
    if (typeof value === 'string') return textBytes(value) + QUOTES;
    if (typeof value === 'number' && !Number.isInteger(value)) return FRACTION_BYTES;
    if (typeof value !== 'object' || value === null) return SCALAR_BYTES;
    if (ArrayBuffer.isView(value)) return value.byteLength;
    if (this.#ancestors.length === MAX_DEPTH || this.#ancestors.includes(value)) return 0;
    this.#ancestors.push(value);
    const bytes = Array.isArray(value)
      ? this.#arrayBytes(value, arraySamples)
      : this.#objectBytes(value as Record<string, unknown>, arraySamples);
    this.#ancestors.pop();
    return bytes;
  }

  #arrayBytes(array: readonly unknown[], samples: number): number {
    const inner = Math.max(1, samples / 4);
    return 2 + sampled(array.length, samples, (index) => 1 + this.bytesOf(array[index], inner));
  }

  #objectBytes(object: Record<string, unknown>, arraySamples: number): number {
    const keys = Object.keys(object);
    const propertyBytes = (index: number) => {
      const key = keys[index] as string;
      return textBytes(key) + PROPERTY_MARKS + this.bytesOf(object[key], arraySamples);
    };
    return 2 + sampled(keys.length, OBJECT_SAMPLES, propertyBytes);
  }
}

function textBytes(text: string): number {
  return sampled(text.length, TEXT_SAMPLES, (index) => unitBytes(text.charCodeAt(index)));
}

function unitBytes(unit: number): number {
  if (unit < 0x20) return unit === 0x0a || unit === 0x0d || unit === 0x09 ? 2 : 6;
  if (unit < 0x80) return unit === 0x22 || unit === 0x5c ? 2 : 1;
  // A surrogate is half of a character of four bytes.
  return unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 2 : 3;
}

/** The sum over `length` items, of which no more than `most`, at even distances, are looked at. */
function sampled(length: number, most: number, bytesAt: (index: number) => number): number {
  const looks = Math.min(length, Math.ceil(most));
  let sum = 0;
  for (let look = 0; look < looks; look++) sum += bytesAt(Math.floor((look * length) / looks));
  return looks === 0 ? 0 : (sum / looks) * length;
}
