import { randomUUID } from 'node:crypto';
import type { JsonObject } from '../src/index.js';
import { EXECUTIONS } from './plan.js';
import type { StateSet } from './states.js';

/** One checkpoint to save, as every contender gets it. */
export interface Save {
  readonly id: string;
  readonly executionId: string;
  readonly nodeName: string;
  readonly state: JsonObject;
  /** Counts the saves of the execution, from 0. */
  readonly step: number;
}

/** An endless supply of saves: a fresh id each, the executions and the states in turn. */
export function saveSource({ steps }: StateSet): () => Save {
  let count = 0;
  return () => {
    const { nodeName, state } = steps[count % steps.length] as StateSet['steps'][number];
    const executionId = `execution-${count % EXECUTIONS}`;
    const step = Math.floor(count / EXECUTIONS);
    count++;
    return { id: randomUUID(), executionId, nodeName, state, step };
  };
}
