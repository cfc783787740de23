import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ESCAPED_LOG, escapeControls } from '../src/terminal-text.js';
import { OBEYED, terminalNames } from './terminal-names.js';

it('what a terminal obeys is escaped as in JSON, and nothing else changes', () => {
  expect(escapeControls('a\nb\r\tc\x1b[31m\x7f\x85\u2028\u202e\u2066\ud800')).toBe(
    'a\\nb\\r\\tc\\u001b[31m\\u007f\\u0085\\u2028\\u202e\\u2066\\ud800',
  );
  for (const plain of ['', 'C:\\n', 'größe 漢字 👩‍🚀', '"quoted"', 'e\u0301'])
    expect(escapeControls(plain)).toBe(plain);
});

it('any text becomes one line without a character that a terminal obeys, and escaping it again changes nothing', () => {
  const texts = fc.oneof(terminalNames, fc.string({ unit: 'binary' }));
  fc.assert(
    fc.property(texts, (text) => {
      const escaped = escapeControls(text);
      expect(escaped).not.toMatch(OBEYED);
      expect(escapeControls(escaped)).toBe(escaped);
      expect(JSON.parse(escapeControls(JSON.stringify({ [text]: text })))).toEqual({ [text]: text });
    }),
  );
});

it('a line of a log stays one line of the same JSON', () => {
  const line = `${JSON.stringify({ jobId: 'w\x1b[2J\x85\u2028' })}\n`;
  expect(JSON.parse(ESCAPED_LOG.streamWrite(line))).toEqual(JSON.parse(line));
  expect(ESCAPED_LOG.streamWrite(line).slice(0, -1)).not.toMatch(OBEYED);
});
