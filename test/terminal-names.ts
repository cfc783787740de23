import fc from 'fast-check';

/** Control characters of both sets, DEL, lone surrogates, separators of lines, marks of direction. By their numbers: independent of src. */
export const OBEYED =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are looked for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

const OBEYED_TEXTS = [
  '\n',
  '\r',
  '\r\n',
  '\t',
  '\b',
  '\x07',
  '\x1b[2J',
  '\x1b]0;title\x07',
  '\x1b[31m',
  '\x7f',
  '\x85',
  '\x9b31m',
  '\u2028',
  '\u2029',
  '\u202e',
  '\u2066',
  '\u200f',
  '\u061c',
];
const PLAIN_TEXTS = ['a', 'Z', '0', ' ', '-', '\\', '"', "'", '%', '{', 'ö', '漢', '😀'];

/** Names that a checkpoint may have and a terminal would not show. */
export const terminalNames = fc
  .array(fc.constantFrom(...OBEYED_TEXTS, ...PLAIN_TEXTS), { minLength: 1, maxLength: 8 })
  .map((parts) => parts.join(''));
