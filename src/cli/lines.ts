import type { Readable } from 'node:stream';

/**
 * The lines of a text. Not by `readline`: that also breaks at U+2028 and U+2029, which JSON has inside its strings. Ends when
 * it is aborted.
 */
export async function* linesOf(input: Readable, signal?: AbortSignal): AsyncGenerator<string> {
  const stop = () => input.destroy();
  signal?.addEventListener('abort', stop, { once: true });
  input.setEncoding('utf8');
  let rest = '';
  try {
    for await (const text of input) {
      const lines = (rest + text).split('\n');
      rest = lines.pop() as string;
      for (const line of lines) yield line.replace(/\r$/, '');
    }
    if (rest !== '') yield rest;
  } catch (error) {
    if (!signal?.aborted) throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}
