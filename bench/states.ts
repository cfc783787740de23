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
 * The same ones in every run. The text compresses as that of recorded agent
 * runs does (to a half at 1 KB, to two fifths at 8 KB), for PostgreSQL compresses rows above 2 KB.
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

/** The ones that come first are the frequent ones. */
const WORDS =
  `the to a of in and is it file for that test on this with we not line from function error be as run
  code if return value let's check by should are now fix first state import open type call issue python data search
  result at directory new command class output list after name server looks like request response need changes because
  index failed expected field object method correct version reproduce edit module string number found message time
  argument instead parse default handler cannot which before seems passing configuration reading database connection
  timeout retry query table column schema migration commit branch worker queue payload session context prompt summary
  customer invoice refund address delivery schedule meeting budget analysis document paragraph translate weather
  precision rounding milliseconds serialization deserialize traceback assertion boundary coverage dependency
  environment permission container endpoint repository`.split(/\s+/);
/** How much more frequent the first words are; with it the text compresses as recorded agent runs do. */
const SKEW = 2.2;

/** Mostly words; now and then a number or a path. */
function word(random: () => number): string {
  const kind = random();
  if (kind < 0.04) return String(Math.floor(random() * 10_000));
  if (kind < 0.07) return `src/${pick(NODES, random)}/${frequentWord(random)}.py`;
  return frequentWord(random);
}

function frequentWord(random: () => number): string {
  return WORDS[Math.floor(random() ** SKEW * WORDS.length)] as string;
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
