import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { CommandError } from './command.js';

/** A file, or standard input for `-`. @throws CommandError if it cannot be read */
export async function openInput(file: string): Promise<{ input: Readable; bytes?: number }> {
  if (file === '-') return { input: process.stdin };
  const { size } = await stat(file).catch((error: NodeJS.ErrnoException) => {
    throw new CommandError(`cannot read ${file}: ${error.code}`, 'CANNOT_READ');
  });
  return { input: createReadStream(file), bytes: size };
}
