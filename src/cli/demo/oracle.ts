import { createHash } from 'node:crypto';
import type { Checkpoint } from '../../checkpoint.js';
import type { CheckpointStore } from '../../store/checkpoint-store.js';
import type { Verification } from './demo-load.js';

/** A checkpoint as it was saved, or read back. */
export type Acknowledged = Pick<
  Checkpoint<unknown>,
  'id' | 'executionId' | 'nodeName' | 'state' | 'metadata' | 'version'
> & {
  timestamp: Date;
};

/** Checkpoints read at a time, so that an execution of any length is verified in little memory. */
const PAGE = 100;

/** Remembers, outside of Redis and PostgreSQL, what was acknowledged: a digest of the newest save of each id. */
export class Oracle {
  readonly #executions = new Map<string, Map<string, { version: number; digest: string }>>();

  get executions(): number {
    return this.#executions.size;
  }

  /** The save was acknowledged. Saves of one id are to be told in their order. */
  acknowledged(checkpoint: Acknowledged): void {
    const { executionId, id, version } = checkpoint;
    const expected = this.#executions.get(executionId) ?? new Map();
    this.#executions.set(executionId, expected);
    if ((expected.get(id)?.version ?? 0) <= version)
      expected.set(id, { version, digest: digestOf(checkpoint) });
  }

  /** Reads every execution back and compares each checkpoint. Calls `onExecution` after each. */
  async verify(store: CheckpointStore, onExecution: () => void, signal?: AbortSignal): Promise<Verification> {
    const sum: Verification = { missing: 0, stale: 0 };
    for (const [executionId, expected] of this.#executions) {
      if (signal?.aborted) break;
      const found = new Map<string, string>();
      for (let after: string | undefined; ; ) {
        const page = await store.list(executionId, { limit: PAGE, after });
        for (const checkpoint of page) found.set(checkpoint.id, digestOf(checkpoint));
        if (page.length < PAGE) break;
        after = page.at(-1)?.id;
      }
      for (const [id, { digest }] of expected) {
        if (!found.has(id)) sum.missing++;
        else if (found.get(id) !== digest) sum.stale++;
        found.delete(id);
      }
      sum.stale += found.size;
      onExecution();
    }
    return sum;
  }
}

/** Equal for checkpoints that are equal in every field. */
export function digestOf({
  id,
  executionId,
  nodeName,
  state,
  metadata,
  timestamp,
  version,
}: Acknowledged): string {
  const fields = [id, executionId, nodeName, state, metadata, timestamp.getTime(), version];
  return createHash('sha256').update(canonicalJson(fields)).digest('base64');
}

/** Equal for equal values: JSONB keeps the keys of an object in an order of its own. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson((value as Record<string, unknown>)[key])}`);
  return `{${members.join()}}`;
}
