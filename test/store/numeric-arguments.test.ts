import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CheckpointQueueError,
  CheckpointRecorder,
  CheckpointWriter,
  DeadLetters,
  MemoryCheckpointStore,
  PostgresCheckpointStore,
  QueuedCheckpointStore,
} from '../../src/index.js';
import { QueuedPostgresSaver } from '../../src/langgraph/index.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { openPlace, type Place } from './place.js';

/** What people pass for a number, and what comes of a `Number(undefined)`. */
const VALUES: readonly unknown[] = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -1,
  0,
  0.5,
  1,
  5,
  2 ** 31,
  2 ** 53,
  1e300,
  '5',
  'abc',
  '',
  null,
  true,
  {},
  [5],
  new Date(0),
  10n,
];

type Allowed = (value: number) => boolean;

const whole =
  (minimum: number, maximum = Number.MAX_SAFE_INTEGER): Allowed =>
  (value) =>
    Number.isSafeInteger(value) && value >= minimum && value <= maximum;
const atLeast =
  (minimum: number, maximum = Number.POSITIVE_INFINITY): Allowed =>
  (value) =>
    value >= minimum && value <= maximum;
const above0: Allowed = (value) => value > 0;

const THOUSAND_YEARS_MS = 1000 * 366 * 86_400_000;
const MAX_VERSION = 2 ** 31 - 1;

interface Argument {
  readonly name: string;
  readonly field: string;
  readonly allowed: Allowed;
  /** Of what is no number, what counts as not given, or as a number. */
  readonly also?: (value: unknown) => boolean;
  readonly use: (value: never) => unknown;
}

let place: Place;
let queued: QueuedCheckpointStore;
let plain: PostgresCheckpointStore;
let saver: QueuedPostgresSaver;
let letters: DeadLetters;
let memory: MemoryCheckpointStore;

beforeAll(async () => {
  place = await openPlace();
  const { redis, postgres, schema, queue } = place;
  memory = new MemoryCheckpointStore();
  queued = new QueuedCheckpointStore({ redis, postgres, schema, queue });
  plain = new PostgresCheckpointStore({ postgres, schema, table: 'plain' });
  saver = new QueuedPostgresSaver({ redis, postgres, queue, schema, consistency: 'committed' });
  letters = new DeadLetters({ redis, postgres, schema, queue });
});

afterAll(async () => {
  await Promise.all([queued.close(), plain.close(), saver.end(), letters.close()]);
  await place.remove();
});

const NOWHERE = { redis: 'redis://127.0.0.1:1', postgres: 'postgresql://127.0.0.1:1/none' };

async function construct(make: () => { close?(): Promise<void>; end?(): Promise<void> }): Promise<void> {
  const made = make();
  await (made.close?.() ?? made.end?.());
}

const queuedOption = (field: string, allowed: Allowed): Argument => ({
  name: `QueuedCheckpointStore({ ${field} })`,
  field,
  allowed,
  use: (value) => construct(() => new QueuedCheckpointStore({ ...NOWHERE, [field]: value })),
});
/** The embedded writer is given a bad retention as well, which is looked at later, so that none is started. */
const writerOption = (field: string, allowed: Allowed): Argument[] => [
  {
    name: `CheckpointWriter({ ${field} })`,
    field,
    allowed,
    use: (value) => construct(() => new CheckpointWriter({ ...NOWHERE, [field]: value })),
  },
  {
    name: `QueuedCheckpointStore({ writer: { ${field} } })`,
    field,
    allowed,
    use: (value) =>
      construct(
        () => new QueuedCheckpointStore({ ...NOWHERE, writer: { [field]: value, retention: 7 as never } }),
      ),
  },
];
const lettersOption = (field: string, allowed: Allowed): Argument => ({
  name: `DeadLetters({ ${field} })`,
  field,
  allowed,
  use: (value) => construct(() => new DeadLetters({ redis: NOWHERE.redis, [field]: value })),
});
const recorderOption = (field: string, allowed: Allowed): Argument => ({
  name: `CheckpointRecorder({ ${field} })`,
  field,
  allowed,
  use: (value) => construct(() => new CheckpointRecorder({ store: memory, [field]: value })),
});
const retentionOption = (field: string, allowed: Allowed): Argument => ({
  name: `CheckpointWriter({ retention: { ${field} } })`,
  field: `retention.${field}`,
  allowed,
  use: (value) =>
    construct(() => new CheckpointWriter({ ...NOWHERE, retention: { olderThan: 1, [field]: value } })),
});

const STORES = [
  ['MemoryCheckpointStore', () => memory],
  ['PostgresCheckpointStore', () => plain],
  ['QueuedCheckpointStore', () => queued],
] as const;

const ARGUMENTS: readonly Argument[] = [
  ...STORES.flatMap(([name, store]): Argument[] => [
    {
      name: `${name}.list({ limit })`,
      field: 'limit',
      allowed: whole(0),
      use: (limit) => store().list('e', { limit }),
    },
    {
      name: `${name}.latest({ timeoutMs })`,
      field: 'timeoutMs',
      allowed: atLeast(0),
      use: (timeoutMs) => store().latest('e', { timeoutMs }),
    },
    {
      name: `${name}.load({ timeoutMs })`,
      field: 'timeoutMs',
      allowed: atLeast(0),
      use: (timeoutMs) => store().load(randomUUID(), { timeoutMs }),
    },
    {
      name: `${name}.save({ version })`,
      field: 'version',
      allowed: whole(0, MAX_VERSION),
      also: (value) => value === null,
      use: (version) => store().save({ ...newCheckpoint(), version }),
    },
    {
      name: `${name}.save({ timestamp })`,
      field: 'timestamp',
      allowed: () => false,
      also: (value) => value === null || value instanceof Date,
      use: (timestamp) => store().save({ ...newCheckpoint(), timestamp }),
    },
    {
      name: `${name}.save(…, { expectedVersion })`,
      field: 'expectedVersion',
      allowed: whole(0, MAX_VERSION),
      use: (expectedVersion) => store().save(newCheckpoint(), { expectedVersion }),
    },
    ...(['before', 'after'] as const).map(
      (field): Argument => ({
        name: `${name}.list({ ${field} })`,
        field,
        allowed: () => false,
        // Any text that is not empty is an id.
        also: (value) => value instanceof Date || (typeof value === 'string' && value !== ''),
        use: (value) => store().list('e', { [field]: value }),
      }),
    ),
  ]),
  ...[
    ['PostgresCheckpointStore', () => plain] as const,
    ['QueuedCheckpointStore', () => queued] as const,
  ].flatMap(([name, store]): Argument[] => [
    {
      name: `${name}.prune({ keepLast })`,
      field: 'keepLast',
      allowed: whole(1, MAX_VERSION),
      use: (keepLast) => store().prune({ keepLast }),
    },
    {
      name: `${name}.prune({ olderThan })`,
      field: 'olderThan',
      allowed: atLeast(0, THOUSAND_YEARS_MS),
      use: (olderThan) => store().prune({ olderThan, executionId: 'none' }),
    },
  ]),
  {
    name: 'PostgresCheckpointStore.dropPartitions',
    field: 'olderThan',
    allowed: () => false,
    also: (value) => value instanceof Date,
    use: (olderThan) => plain.dropPartitions(olderThan),
  },
  queuedOption('enqueueTimeoutMs', whole(1, 300_000)),
  queuedOption('maxChunkRecords', whole(1, 1000)),
  queuedOption('maxChunkBytes', whole(1)),
  queuedOption('maxPendingBytes', whole(1)),
  queuedOption('maxQueueDepth', whole(0)),
  queuedOption('ackReplicas', whole(0)),
  queuedOption('maxQueuedBytes', whole(1, 2 ** 29)),
  ...writerOption('concurrency', whole(1, 1000)),
  ...writerOption('maxBatchRecords', whole(1, 32_000)),
  ...writerOption('maxBatchBytes', whole(1, 2 ** 29)),
  ...writerOption('lingerMs', atLeast(0, 60_000)),
  ...writerOption('maxConcurrentBatches', whole(1, 64)),
  ...writerOption('lockDurationMs', whole(500, 3_600_000)),
  ...writerOption('tombstoneDays', whole(1, 36_500)),
  retentionOption('keepLast', whole(1, MAX_VERSION)),
  retentionOption('olderThan', atLeast(0, THOUSAND_YEARS_MS)),
  retentionOption('deadLettersOlderThan', atLeast(0, THOUSAND_YEARS_MS)),
  retentionOption('every', atLeast(1000, 366 * 86_400_000)),
  lettersOption('maxQueueDepth', whole(0)),
  lettersOption('enqueueTimeoutMs', whole(1, 300_000)),
  recorderOption('saveIntervalMs', (value) => value > 0 && value <= 2 ** 31 - 1),
  recorderOption('maxCheckpoints', whole(1)),
  {
    name: 'CheckpointWriter.close({ deadlineMs })',
    field: 'deadlineMs',
    allowed: atLeast(0),
    use: (deadlineMs) => new CheckpointWriter(NOWHERE).close({ deadlineMs }),
  },
  {
    name: 'CheckpointRecorder.close({ deadlineMs })',
    field: 'deadlineMs',
    allowed: atLeast(0),
    use: (deadlineMs) => new CheckpointRecorder({ store: memory }).close({ deadlineMs }),
  },
  {
    name: 'DeadLetters.list({ limit })',
    field: 'limit',
    allowed: whole(0),
    use: (limit) => letters.list({ limit }),
  },
  {
    name: 'DeadLetters.count({ olderThan })',
    field: 'olderThan',
    allowed: atLeast(0),
    use: (olderThan) => letters.count({ olderThan }),
  },
  {
    name: 'DeadLetters.replay({ ratePerSecond })',
    field: 'ratePerSecond',
    allowed: above0,
    use: (ratePerSecond) => letters.replay({ all: true, ratePerSecond }),
  },
  {
    name: 'DeadLetters.replay({ waitTimeoutMs })',
    field: 'waitTimeoutMs',
    allowed: atLeast(0),
    use: (waitTimeoutMs) => letters.replay({ all: true, waitTimeoutMs }),
  },
  {
    name: 'QueuedPostgresSaver({ readTimeoutMs })',
    field: 'readTimeoutMs',
    allowed: atLeast(0),
    use: (readTimeoutMs) => construct(() => new QueuedPostgresSaver({ ...NOWHERE, readTimeoutMs })),
  },
  {
    name: 'QueuedPostgresSaver.list({ limit })',
    field: 'limit',
    allowed: whole(0),
    also: (value) => value === '5',
    use: async (limit) => {
      for await (const _ of saver.list({ configurable: { thread_id: 't' } }, { limit })) expect.fail();
    },
  },
  {
    name: 'QueuedPostgresSaver.listThreads({ limit })',
    field: 'limit',
    allowed: whole(1, 10_000),
    use: (limit) => saver.listThreads({ limit }),
  },
  {
    name: 'QueuedPostgresSaver.pruneThreads({ keepLast })',
    field: 'keepLast',
    allowed: whole(1, 1_000_000),
    use: (keepLast) => saver.pruneThreads({ keepLast }),
  },
  {
    name: 'QueuedPostgresSaver.pruneThreads({ olderThan })',
    field: 'olderThan',
    allowed: whole(0, THOUSAND_YEARS_MS),
    use: (olderThan) => saver.pruneThreads({ olderThan }),
  },
];

/** What came of a use: `used`, also where it only found nothing, or the error that refused the value. */
async function outcomeOf({ use }: Argument, value: unknown): Promise<'used' | CheckpointQueueError> {
  try {
    await use(value as never);
    return 'used';
  } catch (error) {
    expect(error).toBeInstanceOf(CheckpointQueueError);
    const refused = error as CheckpointQueueError & { field?: string };
    const isOfValue = /^INVALID_/.test(refused.code) && refused.field !== 'retention';
    return isOfValue ? refused : 'used';
  }
}

async function check(argument: Argument, value: unknown): Promise<void> {
  const { field, allowed, also = () => false } = argument;
  const outcome = await outcomeOf(argument, value);
  if (typeof value === 'number' ? allowed(value) : also(value)) expect(outcome).toBe('used');
  else expect(outcome).toMatchObject({ field });
}

describe.each(ARGUMENTS)('$name', (argument) => {
  it('takes what it says, and refuses all else by name', async () => {
    for (const value of VALUES) await check(argument, value);
  });
});

it('no number that is not allowed gets through', async () => {
  const numbers = fc.oneof(
    fc.double(),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.constantFrom(-0, 2 ** 53, 1e21),
  );
  const cheap = ARGUMENTS.filter(({ name }) => /^(\w+\(|MemoryCheckpointStore)/.test(name));
  await fc.assert(fc.asyncProperty(fc.constantFrom(...cheap), numbers, check), { numRuns: 500 });
}, 120_000);
