import type { CheckpointInput } from '../checkpoint.js';
import { InvalidCheckpointError } from '../errors.js';

/** The fields of a line, under our names and under those of the table's columns. */
const FIELDS: Record<string, keyof CheckpointInput> = {
  id: 'id',
  executionId: 'executionId',
  execution_id: 'executionId',
  nodeName: 'nodeName',
  node_name: 'nodeName',
  state: 'state',
  metadata: 'metadata',
  timestamp: 'timestamp',
  version: 'version',
};

/**
 * A checkpoint from one line of JSON. `timestamp` is a text that Date can read.
 * @throws InvalidCheckpointError naming the field
 */
export function checkpointOfLine(line: string): CheckpointInput {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new InvalidCheckpointError('line', 'is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidCheckpointError('line', 'must be a JSON object');
  }
  const checkpoint: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) {
    const known = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined;
    if (!known) throw new InvalidCheckpointError(JSON.stringify(name), 'is not a field of a checkpoint');
    checkpoint[known] = known === 'timestamp' && typeof field === 'string' ? new Date(field) : field;
  }
  return checkpoint as unknown as CheckpointInput;
}
