import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { CheckpointInput, JsonValue } from '../../checkpoint.js';
import { CommandError } from '../command.js';

/** What one agent does: its saves, in order. Made step by step, so that many agents need little memory. */
export interface AgentRun {
  readonly executionId: string;
  readonly saves: number;
  steps(): Generator<CheckpointInput>;
}

/** Every tenth step saves the step before once more, so that a store which keeps an older state is found out. */
const RESAVE_EVERY = 10;

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
      const bytesAStep = Math.max(1, Math.round(stateBytes / saves));
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
    const count = Math.min(saves ?? steps.length, steps.length);
    return {
      executionId: `${name}#${agent}`,
      saves: count,
      *steps() {
        yield* accumulate(this.executionId, count, (step) => ({
          nodeName: /^\S{1,100}/.exec(steps[step]?.action ?? '')?.[0] ?? 'step',
          state: { messages: steps.slice(0, step + 1) as JsonValue[], step },
        }));
      },
    };
  });
}

function* accumulate(
  executionId: string,
  saves: number,
  stateOf: (step: number) => { nodeName: string; state: { [key: string]: JsonValue } },
): Generator<CheckpointInput> {
  let previous: CheckpointInput | undefined;
  for (let save = 0, step = 0; save < saves; save++) {
    if (previous && save % RESAVE_EVERY === RESAVE_EVERY - 1) {
      // In turn with a higher version and with the same one.
      const version = (previous.version as number) + (save % (2 * RESAVE_EVERY) < RESAVE_EVERY ? 1 : 0);
      const state = { ...(previous.state as { [key: string]: JsonValue }), revised: save };
      yield { ...previous, version, state };
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

interface Trace {
  name: string;
  steps: { action?: string }[];
}

async function readTraces(directory: string): Promise<Trace[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    throw new CommandError(`--trace: cannot read ${directory}: ${error.code}`);
  });
  const files = names.filter((name) => name.endsWith('.jsonl')).sort();
  if (files.length === 0) throw new CommandError(`--trace: no *.jsonl files in ${directory}`);
  return Promise.all(files.map((file) => readTrace(join(directory, file))));
}

async function readTrace(path: string): Promise<Trace> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line.trim() !== '');
  try {
    return { name: basename(path, '.jsonl'), steps: lines.map((line) => JSON.parse(line)) };
  } catch {
    throw new CommandError(`--trace: ${path} is not JSON lines`);
  }
}

/** Words of about this many bytes; the same for the same seed. */
function words(seed: number, bytes: number): string {
  let text = '';
  let random = seed;
  while (text.length < bytes) {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    text += `${WORDS[(random >>> 16) % WORDS.length]} `;
  }
  return text.trimEnd();
}
