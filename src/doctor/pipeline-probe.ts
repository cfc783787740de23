import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type pg from 'pg';
import { DeadLetters } from '../dead-letters/dead-letters.js';
import {
  CheckpointNotFoundError,
  DeadLetteredError,
  PendingWritesTimeoutError,
  WriteRefusedError,
} from '../errors.js';
import { QueuedCheckpointStore } from '../store/queued-store.js';
import { error, ok, type Verdict } from './finding.js';
import { reasonOf } from './look.js';

/** Reserved: whoever saves to it loses it at the next diagnosis. */
export const PROBE_EXECUTION = 'ckpt-doctor';

export interface PipelinePlace {
  readonly redis: string;
  readonly postgres: pg.PoolConfig;
  readonly queue: string;
  readonly prefix: string;
  readonly schema: string;
  readonly table: string;
}

/** Another doctor at the same time may clear away what this one has saved. */
const MAX_TRIES = 3;

/**
 * Sends a checkpoint the whole way: saves it, waits for its commit, reads it back and removes it, whatever came of it. It leaves
 * one tombstone, the same every time. Each step takes at most `timeoutMs`.
 */
export async function probePipeline(place: PipelinePlace, timeoutMs: number): Promise<Verdict> {
  const store = new QueuedCheckpointStore({ ...place, enqueueTimeoutMs: timeoutMs });
  try {
    return await cleaningUp(store, () => probe(store, place, timeoutMs));
  } finally {
    await store.close();
  }
}

async function cleaningUp(store: QueuedCheckpointStore, work: () => Promise<Verdict>): Promise<Verdict> {
  const verdict = await work();
  try {
    await store.clear(PROBE_EXECUTION);
    return verdict;
  } catch (cause) {
    if (verdict.severity !== 'ok') return verdict;
    return error(
      `it was committed, but could not be removed: ${reasonOf(cause)}`,
      `ckpt clear ${PROBE_EXECUTION}`,
    );
  }
}

async function probe(
  store: QueuedCheckpointStore,
  place: PipelinePlace,
  timeoutMs: number,
): Promise<Verdict> {
  try {
    for (let attempt = 1; attempt <= MAX_TRIES; attempt++) {
      const verdict = await sendOne(store, timeoutMs);
      if (verdict) return verdict;
    }
    return ok('saves are committed; others who probe at the same time removed them before they were read');
  } catch (cause) {
    if (cause instanceof DeadLetteredError) await purge(place, timeoutMs);
    return failureOf(cause, timeoutMs);
  }
}

/** @returns undefined if it was removed by somebody else */
async function sendOne(store: QueuedCheckpointStore, timeoutMs: number): Promise<Verdict | undefined> {
  const id = `${PROBE_EXECUTION}-${randomUUID()}`;
  const state = { probe: id };
  const began = performance.now();
  const receipt = await store.save({ id, executionId: PROBE_EXECUTION, nodeName: 'probe', state });
  const saved = performance.now();
  try {
    const read = { consistency: 'latest', executionId: PROBE_EXECUTION, timeoutMs } as const;
    const stored = await store.load(id, read);
    if (!isDeepStrictEqual(stored.state, state)) {
      return error(
        'what was read back is not what was saved',
        'Something changes the rows: look for triggers.',
      );
    }
  } catch (cause) {
    if (!(cause instanceof CheckpointNotFoundError)) throw cause;
    // Not stored, and not waiting: it was removed, or this throws SaveLostError.
    await receipt.committed();
    return undefined;
  }
  const milliseconds = (from: number, to: number) => `${(to - from).toFixed(0)} ms`;
  return ok(
    `acknowledged in ${milliseconds(began, saved)}, committed and read back in ${milliseconds(saved, performance.now())}`,
  );
}

function failureOf(cause: unknown, timeoutMs: number): Verdict {
  if (cause instanceof PendingWritesTimeoutError) {
    return error(
      `not committed within ${timeoutMs} ms`,
      'See the other findings on queue and workers, and the log of the workers: do they serve this queue and this table?',
    );
  }
  if (cause instanceof DeadLetteredError) {
    return error(
      `PostgreSQL refuses it: ${cause.reason}`,
      'Look for constraints and triggers on the table that are none of ours.',
    );
  }
  if (cause instanceof WriteRefusedError) return error(reasonOf(cause), 'Are all workers of this release?');
  return error(reasonOf(cause), 'See the other findings.');
}

async function purge(place: PipelinePlace, timeoutMs: number): Promise<void> {
  const letters = new DeadLetters({ ...place, enqueueTimeoutMs: timeoutMs });
  try {
    await letters.purge({ filter: { executionId: PROBE_EXECUTION } });
  } catch {
    // It stays, and the next diagnosis counts it.
  } finally {
    await letters.close();
  }
}
