import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { linesOf } from '../../src/cli/lines.js';

async function collected(parts: Buffer[]): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of linesOf(Readable.from(parts))) lines.push(line);
  return lines;
}

test('lines end at line feeds alone, wherever the text is cut, and a last one needs none', async () => {
  const bytes = Buffer.from('a\u2028é\r\n\n𝒳\rb\u2029\nlast');
  const expected = ['a\u2028é', '', '𝒳\rb\u2029', 'last'];
  expect(await collected([bytes])).toEqual(expected);
  expect(await collected([...bytes].map((byte) => Buffer.from([byte])))).toEqual(expected);
  expect(await collected([Buffer.from('a\n')])).toEqual(['a']);
});

test('they end when it is aborted, also where nothing comes any more', async () => {
  const stop = new AbortController();
  const input = new Readable({ read() {} });
  input.push('a\nb');
  const lines = linesOf(input, stop.signal);
  expect(await lines.next()).toEqual({ done: false, value: 'a' });
  const next = lines.next();
  stop.abort();
  expect(await next).toEqual({ done: true, value: undefined });
});
