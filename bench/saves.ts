import { randomUUID } from 'node:crypto';
import type { CheckpointInput, JsonObject } from '../src/index.js';
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

/** The executions that saves are spread over, unless told otherwise. */
export const EXECUTION_IDS: readonly string[] = Array.from(
  { length: EXECUTIONS },
  (_, index) => `execution-${index}`,
);

/** An endless supply of saves: a fresh id each, the executions and the states in turn. */
export function saveSource({ steps }: StateSet, executions: readonly string[] = EXECUTION_IDS): () => Save {
  let count = 0;
  return () => {
    const { nodeName, state } = steps[count % steps.length] as StateSet['steps'][number];
    const executionId = executions[count % executions.length] as string;
    const step = Math.floor(count / executions.length);
    count++;
    return { id: randomUUID(), executionId, nodeName, state, step };
  };
}

/** A save as our stores take it. */
export function checkpointOf({ step, ...save }: Save): CheckpointInput {
  return { ...save, metadata: { step } };
}
