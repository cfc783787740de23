import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Runs a program to its end. Rejects with what it printed on standard error when it fails. */
export const run = promisify(execFile);
