import {
  type Checkpoint,
  type CheckpointMetadata,
  type CheckpointPendingWrite,
  type CheckpointTuple,
  type DeltaChannelHistory,
  maxChannelVersion,
  type SerializerProtocol,
  TASKS,
} from '@langchain/langgraph-checkpoint';
import { parseStoredJson, serializeJson } from '../json.js';
import type { TextRow } from '../postgres/database.js';
import type { GraphReadSql } from '../postgres/graph-reads.js';
import type { ReadQuery } from '../postgres/read-replica.js';
import { type ConfiguredPlace, configOf } from './configs.js';

/** What is read in one go sees one server; where that breaks off, it is read anew at another. */
export type Reading = <T>(read: (query: ReadQuery) => Promise<T>) => Promise<T>;

/** What a list shows; all that is undefined does not matter. */
export interface ThreadListing extends ConfiguredPlace {
  /** What the metadata must contain. */
  readonly filter: Record<string, unknown> | undefined;
  /** A checkpoint id that all must be below. */
  readonly before: string | undefined;
  readonly limit: number | undefined;
}

/** Rows a statement: graphs look at few of a history, and who reads all of it holds so many at once. */
const PAGE = 50;
const ANCESTORS_A_LOOK = 50;
/** The format in which what was sent to tasks stands in the checkpoint itself. */
const FORMAT_WITH_SENDS = 4;

type StoredValue = [name: string, type: string, base64: string | null];
type StoredWrite = [taskId: string, channel: string, type: string, base64: string];

/** Reads the checkpoints of threads. Sees what is committed; that all of it is, is the affair of who asks. */
export class ThreadReader {
  constructor(
    private readonly reading: Reading,
    private readonly sql: GraphReadSql,
    private readonly serde: SerializerProtocol,
  ) {}

  /** The checkpoint, or the newest one of thread and namespace. */
  find(threadId: string, namespace: string, checkpointId?: string): Promise<CheckpointTuple | undefined> {
    return this.reading((query) => this.#find(query, threadId, namespace, checkpointId));
  }

  async #find(
    query: ReadQuery,
    threadId: string,
    namespace: string,
    checkpointId: string | undefined,
  ): Promise<CheckpointTuple | undefined> {
    const [row] =
      checkpointId === undefined
        ? await query(this.sql.newest, [threadId, namespace])
        : await query(this.sql.one, [threadId, namespace, checkpointId]);
    if (!row) return undefined;
    const [tuple] = await this.#tuples(query, [row]);
    return tuple;
  }

  /** Newest first. */
  async *list({
    threadId,
    namespace,
    checkpointId,
    filter,
    before,
    limit,
  }: ThreadListing): AsyncGenerator<CheckpointTuple> {
    const metadata = filter && Object.keys(filter).length > 0 ? (serializeJson(filter) ?? null) : null;
    const shown = [threadId ?? null, namespace ?? null, checkpointId ?? null, metadata, before ?? null];
    let last: [string | null, string | null, string | null] = [null, null, null];
    for (let left = limit ?? Number.POSITIVE_INFINITY; left > 0; left -= PAGE) {
      const size = Math.min(PAGE, left);
      const values = [...shown, ...last, size];
      const { rows, tuples } = await this.reading(async (query) => {
        const found = await query(this.sql.page, values);
        return { rows: found, tuples: await this.#tuples(query, found) };
      });
      yield* tuples;
      const end = rows.at(-1);
      if (rows.length < size || !end) return;
      last = [end.checkpoint_id ?? null, end.thread_id ?? null, end.checkpoint_ns ?? null];
    }
  }

  /** As `BaseCheckpointSaver.getDeltaChannelHistory` says, of the ancestors of the checkpoint. */
  history(
    threadId: string,
    namespace: string,
    checkpointId: string | undefined,
    channels: readonly string[],
  ): Promise<Record<string, DeltaChannelHistory>> {
    return this.reading((query) => this.#history(query, threadId, namespace, checkpointId, channels));
  }

  async #history(
    query: ReadQuery,
    threadId: string,
    namespace: string,
    checkpointId: string | undefined,
    channels: readonly string[],
  ): Promise<Record<string, DeltaChannelHistory>> {
    const found = new Map(channels.map((channel) => [channel, new ChannelHistory()]));
    let next = (await this.#find(query, threadId, namespace, checkpointId))?.parentConfig?.configurable
      ?.checkpoint_id;
    while (next) {
      const open = [...found].filter(([, { seeded }]) => !seeded).map(([channel]) => channel);
      if (open.length === 0) break;
      const rows = await query(this.sql.ancestors, [threadId, namespace, next, open, ANCESTORS_A_LOOK]);
      for (const row of rows) {
        const values = parsed<StoredValue>(row.channel_values);
        const writes = await this.#writes(row.pending_writes);
        for (const channel of open) {
          const value = values.find(([name]) => name === channel);
          const seed = value && { value: await this.#load(value[1], value[2]) };
          found.get(channel)?.ancestor(
            writes.filter(([, name]) => name === channel),
            seed,
          );
        }
      }
      next = rows.length < ANCESTORS_A_LOOK ? undefined : rows.at(-1)?.parent_checkpoint_id;
    }
    return Object.fromEntries([...found].map(([channel, history]) => [channel, history.whole()]));
  }

  async #tuples(query: ReadQuery, rows: readonly TextRow[]): Promise<CheckpointTuple[]> {
    const checkpoints = rows.map((row) => parseStoredJson(row.checkpoint as string) as unknown as Checkpoint);
    const sends = await this.#pendingSends(query, rows, checkpoints);
    return Promise.all(
      rows.map((row, index) => this.#tuple(row, checkpoints[index] as Checkpoint, sends.get(sendsKey(row)))),
    );
  }

  async #tuple(row: TextRow, stored: Checkpoint, sends: unknown[] | undefined): Promise<CheckpointTuple> {
    const [threadId, namespace] = [row.thread_id as string, row.checkpoint_ns as string];
    const parent = row.parent_checkpoint_id;
    const checkpoint: Checkpoint = {
      ...stored,
      channel_versions: { ...stored.channel_versions },
      versions_seen: stored.versions_seen ?? {},
      channel_values: await this.#values(row.channel_values),
    };
    if (sends) addSends(checkpoint, sends);
    return {
      config: configOf(threadId, namespace, row.checkpoint_id as string),
      checkpoint,
      metadata: await this.#metadata(row.metadata as string),
      ...(parent ? { parentConfig: configOf(threadId, namespace, parent) } : {}),
      pendingWrites: await this.#writes(row.pending_writes),
    };
  }

  /** Of checkpoints in an older format, what was sent from their parents; by parent. */
  async #pendingSends(
    query: ReadQuery,
    rows: readonly TextRow[],
    checkpoints: readonly Checkpoint[],
  ): Promise<Map<string, unknown[]>> {
    const old = rows.filter((row, index) => {
      const { v } = checkpoints[index] as Checkpoint;
      return v < FORMAT_WITH_SENDS && row.parent_checkpoint_id != null;
    });
    const sends = new Map<string, unknown[]>();
    for (const threadId of new Set(old.map((row) => row.thread_id as string))) {
      const parents = old.filter((row) => row.thread_id === threadId).map((row) => row.parent_checkpoint_id);
      for (const row of await query(this.sql.pendingSends, [threadId, parents, TASKS])) {
        const values = parsed<[type: string, base64: string]>(row.sends);
        const loaded = await Promise.all(values.map(([type, base64]) => this.#load(type, base64)));
        sends.set(
          sendsKey({ thread_id: threadId, parent_checkpoint_id: row.checkpoint_id as string }),
          loaded,
        );
      }
    }
    return sends;
  }

  async #values(json: string | null | undefined): Promise<Record<string, unknown>> {
    const values = parsed<StoredValue>(json).map(
      async ([channel, type, base64]) => [channel, await this.#load(type, base64)] as const,
    );
    return Object.fromEntries(await Promise.all(values));
  }

  async #writes(json: string | null | undefined): Promise<CheckpointPendingWrite[]> {
    return Promise.all(
      parsed<StoredWrite>(json).map(
        async ([taskId, channel, type, base64]): Promise<CheckpointPendingWrite> => [
          taskId,
          channel,
          await this.#load(type, base64),
        ],
      ),
    );
  }

  /** Through the serialiser, which makes objects again of what it knows. */
  async #metadata(json: string): Promise<CheckpointMetadata> {
    const [type, bytes] = await this.serde.dumpsTyped(parseStoredJson(json));
    return this.serde.loadsTyped(type, bytes);
  }

  #load(type: string, base64: string | null): Promise<unknown> {
    // A copy of its own, and no Buffer: what was put as bytes comes back as such.
    return this.serde.loadsTyped(type, new Uint8Array(Buffer.from(base64 ?? '', 'base64')));
  }
}

/** What one channel contributed, gathered from the newest ancestor to the oldest. */
class ChannelHistory {
  readonly #blocks: CheckpointPendingWrite[][] = [];
  #seed: { value: unknown } | undefined;

  get seeded(): boolean {
    return this.#seed !== undefined;
  }

  ancestor(writes: CheckpointPendingWrite[], seed: { value: unknown } | undefined): void {
    if (this.#seed) return;
    this.#blocks.push(writes);
    this.#seed = seed;
  }

  whole(): DeltaChannelHistory {
    const writes = this.#blocks.reverse().flat();
    return this.#seed ? { writes, seed: this.#seed.value } : { writes };
  }
}

function addSends(checkpoint: Checkpoint, sends: unknown[]): void {
  const versions = Object.values(checkpoint.channel_versions);
  checkpoint.channel_values[TASKS] = sends;
  checkpoint.channel_versions[TASKS] = versions.length > 0 ? maxChannelVersion(...versions) : 1;
}

function sendsKey({ thread_id, parent_checkpoint_id }: TextRow): string {
  return `${thread_id}\0${parent_checkpoint_id}`;
}

function parsed<T>(json: string | null | undefined): T[] {
  return json == null ? [] : (JSON.parse(json) as T[]);
}
