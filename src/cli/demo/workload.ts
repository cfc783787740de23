import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { CheckpointInput, JsonValue } from '../../checkpoint.js';
import { UsageError } from '../command.js';

/** What one agent does: its saves, in order. Made step by step, so that many agents need little memory. */
export interface AgentRun {
  readonly executionId: string;
  readonly saves: number;
  steps(): Generator<CheckpointInput>;
}

/** Every tenth save is the step before once more, so that a store which keeps an older state is found out. */
const RESAVE_EVERY = 10;
/** Of a message beside its text, as JSON. */
const MESSAGE_BYTES = 30;

const WORDS =
  'read plan search open edit test build run error retry file function result token answer question note done next tool'.split(
    ' ',
  );

/** Agents whose state, a growing list of messages, has about `stateBytes` at the last step. */
export function builtInWorkload(agents: number, saves: number, stateBytes: number): AgentRun[] {
  return Array.from({ length: agents }, (_, agent) => ({
    executionId: `demo-agent-${agent}`,
    saves,
    *steps() {
      const messages: JsonValue[] = [];
      const bytesAStep = Math.max(1, Math.round(stateBytes / stepsOf(saves)) - MESSAGE_BYTES);
      yield* accumulate(this.executionId, saves, (step) => {
        messages.push({ role: 'tool', content: words(agent * 7919 + step * 104_729, bytesAStep) });
        return { nodeName: WORDS[step % WORDS.length] as string, state: { messages: [...messages], step } };
      });
    },
  }));
}

/** Agents that replay recorded runs: after step k the state is all steps up to k. More agents than runs begin again. */
export async function traceWorkload(directory: string, agents?: number, saves?: number): Promise<AgentRun[]> {
  const traces = await readTraces(directory);
  return Array.from({ length: agents ?? traces.length }, (_, agent) => {
    const { name, steps } = traces[agent % traces.length] as Trace;
    const all = savesOf(steps.length);
    const count = Math.min(saves ?? all, all);
    return {
      executionId: `${name}#${agent}`,
      saves: count,
      *steps() {
        yield* accumulate(this.executionId, count, (step) => ({
          nodeName: firstWord(steps[step]?.action) ?? 'step',
          state: { messages: steps.slice(0, step + 1) as JsonValue[], step },
        }));
      },
    };
  });
}

/** Saves of a run with so many steps: every `RESAVE_EVERY`th save repeats a step. */
function savesOf(steps: number): number {
  return steps + Math.floor((steps - 1) / (RESAVE_EVERY - 1));
}

/** Steps of a run with so many saves. */
function stepsOf(saves: number): number {
  return saves - Math.floor(saves / RESAVE_EVERY);
}

function* accumulate(
  executionId: string,
  saves: number,
  stateOf: (step: number) => { nodeName: string; state: { [key: string]: JsonValue } },
): Generator<CheckpointInput> {
  let previous: (CheckpointInput & { version: number }) | undefined;
  for (let step = 0, save = 1; save <= saves; save++) {
    if (previous && save % RESAVE_EVERY === 0) {
      // In turn with a higher version and with the same one.
      const version = previous.version + (save % (2 * RESAVE_EVERY) === 0 ? 0 : 1);
      yield { ...previous, version, state: { ...(previous.state as object), revised: save } };
      continue;
    }
    previous = {
      id: `${executionId}/${step}`,
      executionId,
      ...stateOf(step),
      metadata: { source: 'demo', step },
      timestamp: new Date(),
      version: 1,
    };
    step++;
    yield previous;
  }
}

/** What can be a node name, of the first word of an action. */
function firstWord(action: unknown): string | undefined {
  return typeof action === 'string' ? /[^\s\0\p{Surrogate}]{1,100}/u.exec(action)?.[0] : undefined;
}

interface Trace {
  name: string;
  steps: { action?: unknown }[];
}

async function readTraces(directory: string): Promise<Trace[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError('--trace', `cannot be read: ${directory}: ${error.code}`);
  });
  const files = names.filter((name) => name.endsWith('.jsonl')).sort();
  if (files.length === 0) throw new UsageError('--trace', `has no *.jsonl files: ${directory}`);
  return Promise.all(files.map((file) => readTrace(join(directory, file))));
}

async function readTrace(path: string): Promise<Trace> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line.trim() !== '');
  if (lines.length === 0) throw new UsageError('--trace', `has an empty file: ${path}`);
  return { name: basename(path, '.jsonl'), steps: lines.map((line, index) => stepOf(line, path, index + 1)) };
}

function stepOf(line: string, path: string, lineNumber: number): { action?: unknown } {
  let step: unknown;
  try {
    step = JSON.parse(line);
  } catch {
    // told below
  }
  if (typeof step === 'object' && step !== null && !Array.isArray(step)) return step;
  throw new UsageError('--trace', `${path}, line ${lineNumber}, is not a JSON object`);
}

/** Words of about this many bytes; the same for the same seed. */
export function words(seed: number, bytes: number): string {
  let text = '';
  let random = seed;
  while (text.length < bytes) {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    text += `${WORDS[(random >>> 16) % WORDS.length]} `;
  }
  return text.trimEnd();
}
