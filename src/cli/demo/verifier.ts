import type { Checkpoint } from '../../checkpoint.js';
import type { CheckpointStore } from '../../store/checkpoint-store.js';
import { type ExpectedCheckpoints, fingerprintOf } from './expected-checkpoints.js';

/** What reading everything back has found. */
export interface Verdict {
  /** Saved and acknowledged, not stored. */
  missing: string[];
  /** Stored, but not what was saved last. */
  stale: string[];
}

/** Checkpoints in memory at once. */
const PAGE = 50;

/**
 * Reads every execution back and compares each stored checkpoint with what was saved.
 * @param onCompared told how many checkpoints have been read so far
 */
export async function verify(
  store: Pick<CheckpointStore, 'list'>,
  expected: ExpectedCheckpoints,
  { signal, onCompared }: { signal?: AbortSignal; onCompared?: (count: number) => void } = {},
): Promise<Verdict> {
  const verdict: Verdict = { missing: [], stale: [] };
  let compared = 0;
  for (const [executionId, saved] of expected.executions) {
    const unseen = new Set(saved.keys());
    for await (const checkpoint of storedCheckpoints(store, executionId)) {
      signal?.throwIfAborted();
      unseen.delete(checkpoint.id);
      if (saved.get(checkpoint.id)?.hash !== fingerprintOf(checkpoint).hash) verdict.stale.push(checkpoint.id);
      onCompared?.(++compared);
    }
    verdict.missing.push(...unseen);
  }
  return verdict;
}

async function* storedCheckpoints(
  store: Pick<CheckpointStore, 'list'>,
  executionId: string,
): AsyncGenerator<Checkpoint> {
  let after: string | undefined;
  for (;;) {
    const page = await store.list(executionId, { limit: PAGE, after });
    yield* page;
    if (page.length < PAGE) return;
    after = page.at(-1)?.id;
  }
}
