import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JsonObject } from '../src/index.js';
import type { StateSet, StepState } from './states.js';

/**
 * The states of recorded agent runs: a `*.jsonl` file for each run, a JSON object with an `action` for each step. After
 * step k the state holds the steps 0 to k, so states grow as those of a real agent do.
 */
export async function traceStates(folder: string): Promise<StateSet> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.jsonl')).sort();
  const runs = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  const steps = runs.flatMap(statesOfRun);
  if (steps.length === 0) throw new Error('the folder of traces holds no *.jsonl file with steps');
  const bytes = steps.reduce((sum, { state }) => sum + Buffer.byteLength(JSON.stringify(state)), 0);
  return { name: 'traces', meanBytes: Math.round(bytes / steps.length), steps };
}

function statesOfRun(text: string): StepState[] {
  const messages = text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as JsonObject);
  return messages.map(({ action }, step) => ({
    nodeName: typeof action === 'string' ? (action.trim().split(/\s+/, 1)[0] as string).slice(0, 60) : '',
    state: { messages: messages.slice(0, step + 1), step },
  }));
}
