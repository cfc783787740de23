import { createHash } from 'node:crypto';
import type { Checkpoint, JsonValue } from '../../checkpoint.js';

/** What is remembered of a save: enough to know it again, whatever the size of its state. */
export interface Fingerprint {
  readonly executionId: string;
  readonly id: string;
  readonly version: number;
  readonly hash: string;
}

/** All of a checkpoint as one hash. Keys are sorted, for JSONB keeps them in an order of its own. */
export function fingerprintOf(checkpoint: Checkpoint): Fingerprint {
  const { id, executionId, nodeName, state, metadata, timestamp, version } = checkpoint;
  const all = canonicalJson([id, executionId, nodeName, state, metadata, timestamp.getTime(), version]);
  return { executionId, id, version, hash: createHash('sha256').update(all).digest('base64') };
}

/** What has to be stored when all saves are committed: of each id the highest version, of equal ones the last save. */
export class ExpectedCheckpoints {
  readonly #executions = new Map<string, Map<string, Fingerprint>>();
  #count = 0;

  /** To be called in the order of the saves of an id. */
  add(saved: Fingerprint): void {
    let checkpoints = this.#executions.get(saved.executionId);
    if (!checkpoints) {
      checkpoints = new Map();
      this.#executions.set(saved.executionId, checkpoints);
    }
    const known = checkpoints.get(saved.id);
    if (!known) this.#count++;
    if (!known || known.version <= saved.version) checkpoints.set(saved.id, saved);
  }

  get count(): number {
    return this.#count;
  }

  get executions(): ReadonlyMap<string, ReadonlyMap<string, Fingerprint>> {
    return this.#executions;
  }
}

function canonicalJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] as JsonValue)}`);
  return `{${members.join(',')}}`;
}
