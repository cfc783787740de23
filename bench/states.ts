import type { JsonObject } from '../src/index.js';

/** What a save has for its state, and the step it comes from. */
export interface StepState {
  readonly nodeName: string;
  readonly state: JsonObject;
}

/** States of one kind, made before the clock runs. */
export interface StateSet {
  readonly name: string;
  /** Of the states' JSON text, on average. */
  readonly meanBytes: number;
  readonly steps: readonly StepState[];
}

/** Enough that neither Redis nor PostgreSQL nor a CPU cache sees one state again at once. */
const DIFFERENT_STATES = 256;
const NODES = ['plan', 'search', 'read', 'edit', 'test', 'reflect'];
const ROLES = ['user', 'assistant', 'tool'];
const TOOLS = ['search_code', 'open_file', 'run_tests', 'http_get', 'write_file'];
const MESSAGE_WORDS = { min: 12, max: 60 };

/**
 * States as an agent has them: messages with roles, tool calls and varied text, each of exactly `bytes` bytes of JSON.
 * The same ones in every run. The text compresses about as English prose does, neither like a constant nor like noise.
 */
export function generatedStates(bytes: number): StateSet {
  const random = generator(bytes);
  const steps = Array.from({ length: DIFFERENT_STATES }, (_, index) => ({
    nodeName: NODES[index % NODES.length] as string,
    state: generatedState(bytes, index, random),
  }));
  return { name: sizeName(bytes), meanBytes: bytes, steps };
}

/** `1 KB` for 1024, `1500 B` for 1500. */
export function sizeName(bytes: number): string {
  return bytes % 1024 === 0 ? `${bytes / 1024} KB` : `${bytes} B`;
}

function generatedState(bytes: number, step: number, random: () => number): JsonObject {
  const messages: JsonObject[] = [];
  const state = { step, messages, summary: '' };
  let length = JSON.stringify(state).length;
  for (;;) {
    const message = generatedMessage(random);
    const added = JSON.stringify(message).length + (messages.length > 0 ? 1 : 0);
    if (length + added > bytes) break;
    messages.push(message);
    length += added;
  }
  let summary = '';
  while (summary.length < bytes - length) summary += `${word(random)} `;
  return { ...state, summary: summary.slice(0, bytes - length) };
}

function generatedMessage(random: () => number): JsonObject {
  const role = pick(ROLES, random);
  const count = MESSAGE_WORDS.min + Math.floor(random() * (MESSAGE_WORDS.max - MESSAGE_WORDS.min));
  const words = Array.from({ length: count }, () => word(random));
  // Tools answer in lines, people in sentences.
  const content = role === 'tool' ? words.join(random() < 0.5 ? '\n' : ' ') : `${words.join(' ')}.`;
  const id = Math.floor(random() * 2 ** 32).toString(16);
  return role === 'tool' ? { role, id, tool: pick(TOOLS, random), content } : { role, id, content };
}

const SYLLABLES =
  'a al an ar be ca ce ci co com con da de di do e ed en er es ex fi for ge ha he i in ing is it la le li lo ma me men mi mo na ne ni no o on or pa pe po pre pro ra re ri ro se si so sta ta te ter ti tion to tra u un ve vi'.split(
    ' ',
  );

/** Mostly words of syllables, short ones more often; now and then a number or a path. */
function word(random: () => number): string {
  const kind = random();
  if (kind < 0.06) return String(Math.floor(random() * 100_000));
  if (kind < 0.1) return `src/${pick(SYLLABLES, random)}${pick(SYLLABLES, random)}.ts`;
  const syllables = 1 + Math.floor(random() * random() * 5);
  return Array.from({ length: syllables }, () => pick(SYLLABLES, random)).join('');
}

function pick<T>(from: readonly T[], random: () => number): T {
  return from[Math.floor(random() * from.length)] as T;
}

/** Numbers from 0 to below 1, the same ones for the same seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
