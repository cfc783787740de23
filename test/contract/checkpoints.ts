import { randomUUID } from 'node:crypto';
import type { CheckpointInput } from '../../src/index.js';

/** An execution that no other test knows. */
export function newExecution(): string {
  return `execution-${randomUUID()}`;
}

/** A checkpoint with an id of its own, in an execution of its own unless one is given. */
export function newCheckpoint(
  fields: Partial<CheckpointInput> = {},
): CheckpointInput & { executionId: string } {
  return {
    id: `checkpoint-${randomUUID()}`,
    executionId: newExecution(),
    nodeName: 'node',
    state: {},
    ...fields,
  };
}
