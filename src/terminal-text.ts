/** Control characters with ESC and DEL, lone surrogates, line and paragraph separators, and what reverses the direction of a text. */
const OBEYED = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;
const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * A text as one line that a terminal shows as it is: ids and node names, which anybody may choose, could otherwise move the cursor, hide
 * what is printed, or look like further lines. Escaped as in JSON, so one line of JSON remains the same JSON.
 */
export function escapeControls(text: string): string {
  return text.replace(OBEYED, (character) => {
    return SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** For pino, which escapes less: its lines reach terminals as well. */
export const ESCAPED_LOG = {
  streamWrite: (line: string) => `${escapeControls(line.trimEnd())}\n`,
};
