import { GraphRecord, type GraphRow } from '../../src/langgraph/graph-record.js';
import type { WriteRecord } from '../../src/writer/sink.js';

/** One `put` or `putWrites` on its way, small enough to reason about. All its values are its sequence. */
export type Operation = Readonly<{ sequence: number; thread: string; checkpoint: string }> &
  (
    | { readonly kind: 'put'; readonly blobs: readonly string[] }
    | { readonly kind: 'writes'; readonly task: string; readonly indexes: readonly number[] }
  );

/** What is stored: by the key of its row, with the table before it, the sequence that it came with. */
export type Stored = Map<string, number>;

export function recordOf(operation: Operation, prefix = ''): WriteRecord {
  const { sequence } = operation;
  return { sequence, body: new GraphRecord(prefix + operation.thread, graphRows(operation)).toBuffer() };
}

function graphRows(operation: Operation): GraphRow[] {
  const { sequence, checkpoint: checkpointId } = operation;
  const [namespace, json] = ['', JSON.stringify({ sequence })];
  const blob = Buffer.from(String(sequence));
  if (operation.kind === 'writes') {
    const { task: taskId, indexes } = operation;
    return indexes.map((index) => ({
      kind: 'write',
      namespace,
      checkpointId,
      taskId,
      taskPath: `path ${sequence}`,
      index,
      channel: `channel ${sequence}`,
      type: 'json',
      blob,
    }));
  }
  return [
    {
      kind: 'checkpoint',
      namespace,
      checkpointId,
      parentId: `parent ${sequence}`,
      checkpoint: json,
      metadata: json,
    },
    ...operation.blobs.map(
      (channel): GraphRow => ({ kind: 'blob', namespace, channel, version: '1', type: 'json', blob }),
    ),
  ];
}

/** What must be stored, row by row, by the rules of each table. */
export class Model {
  readonly stored: Stored = new Map();
  readonly #fences = new Map<string, number>();

  /** A batch is applied as its records are, one by one, in the order of their sequences. */
  write(batch: readonly Operation[]): void {
    for (const operation of [...batch].sort((a, b) => a.sequence - b.sequence)) this.#apply(operation);
  }

  #apply(operation: Operation): void {
    const { sequence, thread, checkpoint } = operation;
    if (sequence <= (this.#fences.get(thread) ?? 0)) return;
    const place = `${thread} ${checkpoint}`;
    if (operation.kind === 'put') {
      this.#store(`checkpoint ${place}`, sequence, (stored) => sequence > stored);
      for (const channel of operation.blobs) this.#store(`blob ${thread} ${channel}`, sequence, () => false);
      return;
    }
    for (const index of operation.indexes) {
      const replaces = (stored: number) => (index < 0 ? sequence > stored : sequence < stored);
      this.#store(`write ${place} ${operation.task} ${index}`, sequence, replaces);
    }
  }

  /** @returns the fence that is needed: above all that is there, even where another clock has numbered it */
  remove(thread: string, fence: number): number {
    const keys = [...this.stored.keys()].filter((key) => key.split(' ')[1] === thread);
    const newest = Math.max(...keys.map((key) => this.stored.get(key) as number));
    const above = Math.max(this.#fences.get(thread) ?? 0, fence, newest);
    for (const key of keys) this.stored.delete(key);
    this.#fences.set(thread, above);
    return above;
  }

  #store(key: string, sequence: number, replaces: (stored: number) => boolean): void {
    const stored = this.stored.get(key);
    if (stored === undefined || replaces(stored)) this.stored.set(key, sequence);
  }
}
