import type { Checkpoint } from '../checkpoint.js';
import { InvalidCheckpointError } from '../errors.js';
import type { DeadLetterRecord } from '../redis/dead-letter-queue.js';
import type { RowPlace } from '../writer/checkpoint-row.js';
import type { ListOptions, ReadOptions } from './checkpoint-store.js';
import type { CheckpointTable, StoredCheckpoint } from './checkpoint-table.js';
import { type DeadLetterLookup, deadLettered } from './dead-letter-lookup.js';
import { DEFAULT_READ_TIMEOUT_MS, type LatestFence } from './latest-fence.js';

type PlacedLetter = DeadLetterRecord & { readonly place: RowPlace };

/**
 * Reads of checkpoints. With `consistency: 'latest'` they pass the fence first, and throw where what is stored is older than what was
 * refused. The order is that of the merge: of an id the highest (version, sequence) is the newest, whatever was saved last.
 */
export class LatestReader {
  constructor(
    private readonly fence: LatestFence,
    private readonly deadLetters: DeadLetterLookup,
    private readonly table: CheckpointTable,
  ) {}

  /** @throws InvalidCheckpointError without an execution; DeadLetteredError; what the fence throws */
  async load(id: string, options: ReadOptions): Promise<StoredCheckpoint | undefined> {
    const { consistency, executionId } = options;
    if (consistency === 'latest' && executionId === undefined) {
      throw new InvalidCheckpointError('executionId', "is needed to load with consistency 'latest'");
    }
    const letters = await this.#unresolved(executionId ?? '', options, ({ job }) => job.id === id);
    const found = await this.table.find(id, options);
    refuse(letters.filter((letter) => !found || compareSaves(letter, found) > 0));
    return found;
  }

  /** @throws as `load` */
  async latest(executionId: string, options: ReadOptions): Promise<StoredCheckpoint | undefined> {
    const letters = await this.#unresolved(executionId, options);
    const found = await this.table.latest(executionId, options);
    // It would stand behind what was found, or take its place, even if it then stands elsewhere.
    const hides = (letter: PlacedLetter) =>
      !found ||
      (letter.job.id === found.checkpoint.id
        ? compareSaves(letter, found) > 0
        : comparePlaces(letter, found) > 0);
    refuse(letters.filter(hides));
    return found;
  }

  /** What was refused is not in the list, and an error only where an older state of it is. @throws as `load` */
  async list(executionId: string, options: ListOptions): Promise<Checkpoint[]> {
    const letters = await this.#unresolved(executionId, options);
    const listed = await this.table.list(executionId, options);
    const ids = new Set(listed.map(({ id }) => id));
    refuse(letters.filter(({ job }) => ids.has(job.id)));
    return listed;
  }

  /**
   * The dead letters of an execution that no delete and no newer save of their id has made void. What is read afterwards is at least as
   * new as what they were compared with.
   */
  async #unresolved(
    executionId: string,
    options: ReadOptions,
    concerns: (letter: DeadLetterRecord) => boolean = () => true,
  ): Promise<PlacedLetter[]> {
    const letters = (await this.#behindFence(executionId, options)).filter(concerns);
    if (letters.length === 0) return [];
    const places = await this.deadLetters.places(letters);
    const placed = letters.map((letter, index) => ({ ...letter, place: places[index] as RowPlace }));
    const outcomes = await this.table.outcomes(
      placed.map(({ job, place }) => ({ ...job, version: place.version })),
    );
    return newestOfEachId(placed.filter((_, index) => outcomes[index] === 'lost'));
  }

  /** A replay that takes a dead letter away puts a job in its place, which has to be waited for as well. */
  async #behindFence(executionId: string, options: ReadOptions): Promise<DeadLetterRecord[]> {
    const { timeoutMs = DEFAULT_READ_TIMEOUT_MS } = options;
    const deadline = performance.now() + timeoutMs;
    for (let left = timeoutMs; ; left = Math.max(0, deadline - performance.now())) {
      if (!(await this.fence.pass(executionId, { ...options, timeoutMs: left }))) return [];
      const letters = await this.deadLetters.ofExecution(executionId);
      if (!(await this.fence.replaysPending(executionId))) return letters;
    }
  }
}

/** The others would give way to it, had they been stored. */
function newestOfEachId(letters: readonly PlacedLetter[]): PlacedLetter[] {
  const newest = new Map<string, PlacedLetter>();
  for (const letter of letters) {
    const other = newest.get(letter.job.id);
    if (!other || compareVersions(letter, other) > 0) newest.set(letter.job.id, letter);
  }
  return [...newest.values()];
}

function compareVersions(a: PlacedLetter, b: PlacedLetter): number {
  return a.place.version - b.place.version || a.job.sequence - b.job.sequence;
}

/** @throws DeadLetteredError of the save that was made last */
function refuse(letters: readonly PlacedLetter[]): void {
  const [newest] = [...letters].sort((a, b) => b.job.sequence - a.job.sequence);
  if (newest) throw deadLettered(newest);
}

/** Of two saves of an id, which one is stored in the end. */
function compareSaves({ place, job }: PlacedLetter, { checkpoint, sequence }: StoredCheckpoint): number {
  return place.version - checkpoint.version || job.sequence - sequence;
}

/** Of two checkpoints of an execution, which one comes later. */
function comparePlaces(letter: PlacedLetter, stored: StoredCheckpoint): number {
  const { timestamp } = letter.place;
  return timestamp - stored.checkpoint.timestamp.getTime() || compareSaves(letter, stored);
}
