import { type CheckpointInput, serializeCheckpoint } from '../checkpoint.js';
import { encodeChunk } from '../chunk.js';
import { InvalidCheckpointError } from '../errors.js';
import type { DeadLetterJob } from '../redis/dead-letter-job.js';
import { CheckpointRow } from '../writer/checkpoint-row.js';
import { CHECKPOINT_SINK } from '../writer/checkpoint-sink.js';

/** A producer's default. A record that was larger before may be as large again. */
const MAX_EDITED_BYTES = 1024 * 1024;

/** A dead letter as it is with another checkpoint in the place of its own. */
export interface EditedLetter {
  readonly job: DeadLetterJob;
  readonly payload: Buffer;
}

/** @throws InvalidCheckpointError naming the field; id and execution must be those of the dead letter */
export function editedLetter(job: DeadLetterJob, input: CheckpointInput): EditedLetter {
  const row = new CheckpointRow(serializeCheckpoint(input));
  const { id, executionId } = row.checkpoint;
  const refuse = (field: string, problem: string) => {
    throw new InvalidCheckpointError(field, problem, id);
  };
  if (job.sink !== CHECKPOINT_SINK) refuse('checkpoint', 'cannot take the place of what another sink writes');
  if (id !== job.id) refuse('id', 'must be that of the dead letter');
  if (executionId !== job.executionId) refuse('executionId', 'must be that of the dead letter');
  const maximum = Math.max(MAX_EDITED_BYTES, job.bytes);
  if (row.byteLength > maximum)
    refuse('checkpoint', `has ${row.byteLength} bytes; ${maximum} is the limit here`);
  return { job: { ...job, bytes: row.byteLength }, payload: encodeChunk([executionId], [row]) };
}
