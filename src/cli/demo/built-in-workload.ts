import { type Agent, agentOf, type Step, stepsOf } from './agent.js';

export interface BuiltInWorkload {
  agents: number;
  /** Of each agent. */
  saves: number;
  /** What the state of an agent has grown to at its last step, in bytes of JSON, about. */
  stateBytes: number;
}

const NODES = ['plan', 'search', 'read', 'edit', 'test', 'review'];
const ROLES = ['assistant', 'tool'];
/** A state that grows by less than this from step to step gets a message only every few steps. */
const MIN_MESSAGE_BYTES = 60;
const EMPTY_STATE_BYTES = JSON.stringify({ messages: [], step: 0 }).length;
/** Among them what stores like to break: quotes, escapes, characters of several bytes, U+0000. */
const WORDS = `the agent looks at a file and finds that one test fails because list is empty then it writes
  "quoted" C:\\temp\\new naïve 検索 🙂 a\0b <html> {"json":[1]} 100% it's done`.split(/\s+/);

/** Agents whose messages accumulate. The same every time, apart from the timestamps. */
export function builtInWorkload({ agents, saves, stateBytes }: BuiltInWorkload): Agent[] {
  const digits = String(agents).length;
  return Array.from({ length: agents }, (_, index) =>
    agentOf(index, {
      executionId: `agent-${String(index + 1).padStart(digits, '0')}`,
      saves,
      steps: () => growingSteps(index, stepsOf(saves), stateBytes),
    }),
  );
}

function* growingSteps(seed: number, steps: number, stateBytes: number): Generator<Step> {
  const words = randomWords(seed);
  const messages: { role: string; content: string }[] = [];
  let bytes = EMPTY_STATE_BYTES;
  for (let step = 0; step < steps; step++) {
    const room = Math.floor((stateBytes * (step + 1)) / steps) - bytes;
    if (room >= MIN_MESSAGE_BYTES) {
      const message = { role: ROLES[step % ROLES.length] as string, content: '' };
      message.content = text(words, room - jsonBytes(message));
      messages.push(message);
      bytes += jsonBytes(message) + 1;
    }
    yield { nodeName: NODES[step % NODES.length] as string, state: { messages, step } };
  }
}

function text(words: Iterator<string>, bytes: number): string {
  const parts: string[] = [];
  for (let size = 0; size < bytes; ) {
    const word = words.next().value as string;
    parts.push(word);
    size += jsonBytes(word) - 1; // two quotes less, one space more
  }
  return parts.join(' ');
}

function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/** A linear congruential generator (the constants of Numerical Recipes); its high bits are the good ones. */
function* randomWords(seed: number): Generator<string> {
  for (let state = seed >>> 0; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield WORDS[Math.floor((state / 2 ** 32) * WORDS.length)] as string;
  }
}
