/**
 * JSON text that JSONB can hold. JSONB refuses U+0000 and lone surrogates, which JSON.stringify can produce. Inside
 * strings they are written with SUB (U+001A, "substitute") as the escape character, and restored on read:
 * U+0000 → SUB `0`, a lone surrogate → SUB and its four hex digits, SUB itself → SUB SUB. All other text is unchanged.
 */

/** A value that JSON can hold. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };
export type JsonObject = { [key: string]: JsonValue };

/** `undefined` where JSON.stringify gives no text (undefined, a function, a symbol). Throws what JSON.stringify throws. */
export function serializeJson(value: unknown): string | undefined {
  const text: string | undefined = JSON.stringify(value);
  return text?.includes('\\u') ? escapeForJsonb(text) : text;
}

/** Parses text that PostgreSQL printed for a JSONB value. */
export function parseStoredJson(text: string): JsonValue {
  return JSON.parse(text.includes('\\u001a') ? restoreFromJsonb(text) : text);
}

// Of the characters that matter here, JSON.stringify prints U+0000, U+001A and lone surrogates as \uXXXX in lower case. The
// first alternative consumes an escaped backslash, so that the text \\u0000 is not taken for U+0000.
function escapeForJsonb(text: string): string {
  return text.replace(/\\(?:\\|u0000|u001a|u(d[89a-f][0-9a-f]{2}))/g, (token, surrogate?: string) => {
    if (surrogate) return `\\u001a${surrogate}`;
    if (token === '\\u0000') return '\\u001a0';
    return token === '\\u001a' ? '\\u001a\\u001a' : token;
  });
}

// A SUB that is followed by nothing of ours was written by another program: it stays as it is.
function restoreFromJsonb(text: string): string {
  return text.replace(/\\(?:\\|u001a(?:\\u001a|0|d[89a-f][0-9a-f]{2}))/g, (token) => {
    if (token === '\\\\') return token;
    const rest = token.slice('\\u001a'.length);
    if (rest === '0') return '\\u0000';
    return rest === '\\u001a' ? rest : `\\u${rest}`;
  });
}
