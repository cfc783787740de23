import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { JsonObject, JsonValue } from '../../checkpoint.js';
import { UsageError } from '../command.js';
import { type Agent, agentOf, type Step, savesOf } from './agent.js';

const EXTENSION = '.jsonl';
const FALLBACK_NODE = 'step';
/** The first word, or as much of it as a node name may hold. */
const NODE_NAME = /[^\s\0\p{Surrogate}]{1,128}/u;

export interface TraceWorkload {
  directory: string;
  /** Default: one for each trace. More than that play the traces again, as executions of their own. */
  agents?: number;
  /** At most, of each agent. Default: all of its trace. */
  saves?: number;
}

interface Trace {
  readonly name: string;
  readonly steps: readonly JsonObject[];
}

/**
 * Recorded runs: one file `*.jsonl` for each, one object for each step. After step k an agent's state is
 * `{ messages: [steps 0 to k], step: k }`; the first word of a step's `action` names its node.
 * @throws UsageError if the folder cannot be used, naming file and line
 */
export async function traceWorkload({ directory, agents, saves }: TraceWorkload): Promise<Agent[]> {
  const traces = await readTraces(directory);
  return Array.from({ length: agents ?? traces.length }, (_, index) => {
    const { name, steps } = traces[index % traces.length] as Trace;
    const round = Math.floor(index / traces.length) + 1;
    return agentOf(index, {
      executionId: round === 1 ? name : `${name}/again-${round}`,
      saves: Math.min(saves ?? Number.POSITIVE_INFINITY, savesOf(steps.length)),
      steps: () => accumulated(steps),
    });
  });
}

function* accumulated(steps: readonly JsonObject[]): Generator<Step> {
  const messages: JsonObject[] = [];
  for (const [step, message] of steps.entries()) {
    messages.push(message);
    const { action } = message;
    const nodeName = (typeof action === 'string' && NODE_NAME.exec(action)?.[0]) || FALLBACK_NODE;
    yield { nodeName, state: { messages, step } };
  }
}

async function readTraces(directory: string): Promise<Trace[]> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (error) {
    throw new UsageError(
      '--trace',
      `${directory} is no folder that can be read (${(error as NodeJS.ErrnoException).code})`,
    );
  }
  const files = names.filter((name) => name.endsWith(EXTENSION)).sort();
  if (files.length === 0) throw new UsageError('--trace', `${directory} holds no file *${EXTENSION}`);
  return Promise.all(files.map((file) => readTrace(join(directory, file))));
}

async function readTrace(path: string): Promise<Trace> {
  const lines = (await readFile(path, 'utf8')).split('\n').entries();
  const steps = [...lines].flatMap(([index, line]) => (line.trim() === '' ? [] : [stepOf(line, path, index)]));
  if (steps.length === 0) throw new UsageError('--trace', `${path} holds no step`);
  return { name: basename(path, EXTENSION), steps };
}

function stepOf(line: string, path: string, index: number): JsonObject {
  const step = parsed(line);
  if (typeof step !== 'object' || step === null || Array.isArray(step)) {
    throw new UsageError('--trace', `${path}:${index + 1} is no JSON object`);
  }
  return step;
}

function parsed(line: string): JsonValue | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
