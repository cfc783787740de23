import { type DrainProblem, drainProblemText } from './drain-problem.js';

/**
 * Every error class of this package. `code` is stable and meant for programs; messages are meant for people and never
 * hold a state, metadata, a password or an SQL parameter (promise P8).
 */
export class CheckpointQueueError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** A checkpoint, or an argument that names one, cannot be stored. Nothing was queued. `field` says what is wrong with it. */
export class InvalidCheckpointError extends CheckpointQueueError {
  constructor(
    readonly field: string,
    readonly problem: string,
    /** The checkpoint's id, where it has a usable one. */
    readonly id?: string,
  ) {
    super('INVALID_CHECKPOINT', `Invalid checkpoint: ${field} ${problem}`);
  }
}

/** An option, an environment variable or a DSN is not usable. `field` names it; its value is not repeated. */
export class InvalidConfigError extends CheckpointQueueError {
  constructor(
    readonly field: string,
    readonly problem: string,
  ) {
    super('INVALID_CONFIG', `Invalid configuration: ${field} ${problem}`);
  }
}

/** No checkpoint of this id is stored. */
export class CheckpointNotFoundError extends CheckpointQueueError {
  constructor(readonly id: string) {
    super('CHECKPOINT_NOT_FOUND', `No checkpoint ${JSON.stringify(id)}`);
  }
}

/** A state does not fit the recorder's schema. Its values are not repeated. */
export class StateMismatchError extends CheckpointQueueError {
  constructor(
    /** Where, as `state.messages[3].role`; the first such place. */
    readonly path: string,
    /** The checkpoint's id; undefined for a state that is not saved, and will not be. */
    readonly id?: string,
  ) {
    const what = id === undefined ? 'The new state' : `The state of checkpoint ${JSON.stringify(id)}`;
    super('STATE_MISMATCH', `${what} does not fit the schema at ${path}`);
  }
}

/** The version that is stored is not the one that the save expected. Nothing was written. */
export class VersionConflictError extends CheckpointQueueError {
  constructor(
    readonly id: string,
    readonly expectedVersion: number,
    /** Undefined where nothing is stored. */
    readonly actualVersion: number | undefined,
  ) {
    super(
      'VERSION_CONFLICT',
      `Checkpoint ${JSON.stringify(id)} was expected at version ${expectedVersion}: ` +
        (actualVersion === undefined ? 'nothing is stored' : `version ${actualVersion} is stored`),
    );
  }
}

/** A limit is reached: of this producer's memory, or of the queue's depth. Nothing was queued; try again later. */
export class BackpressureError extends CheckpointQueueError {
  constructor(
    /**
     * Which limit: `maxPendingBytes` is this process's memory, `maxQueueDepth` the jobs that wait in Redis, `maxUnacknowledgedSaves`
     * what a `CheckpointRecorder` has under way.
     */
    readonly limit: 'maxPendingBytes' | 'maxQueueDepth' | 'maxUnacknowledgedSaves',
    readonly actual: number,
    readonly maximum: number,
  ) {
    super(
      'BACKPRESSURE',
      `${limit} is reached (${actual} of ${maximum}): saves come faster than they are written`,
    );
  }
}

/** Redis did not take the save within `enqueueTimeoutMs`. It was not acknowledged; it may still arrive, once, unharmful. */
export class QueueUnavailableError extends CheckpointQueueError {
  /** Redis did answer, and refused: it has no memory left, say, or only reads. */
  readonly refused: boolean;

  constructor(message: string, { cause, refused = false }: { cause?: unknown; refused?: boolean } = {}) {
    super('QUEUE_UNAVAILABLE', message, cause === undefined ? undefined : { cause });
    this.refused = refused;
  }
}

/**
 * Redis refuses the password, or the user lacks a right: `command` names it, or is undefined where it is another one. Nothing was
 * acknowledged. Trying again does not help until the user, or its password, is changed.
 */
export class RedisAccessError extends QueueUnavailableError {
  override readonly code = 'REDIS_ACCESS';

  constructor(
    problem: string,
    readonly command?: string,
  ) {
    super(problem, { refused: true });
  }
}

/**
 * A sequence is no whole number, or more than a day ahead of Redis' clock: a key, row or file was damaged, or the clock was set back.
 * Nothing was numbered, queued or deleted. `ckpt doctor` finds what is damaged, `ckpt repair` mends it.
 */
export class SequenceOutOfRangeError extends QueueUnavailableError {
  override readonly code = 'SEQUENCE_OUT_OF_RANGE';

  /** @param what which number */
  constructor(what: string) {
    super(`${what} is damaged, or more than a day ahead of Redis' clock: run ckpt doctor, then ckpt repair`, {
      refused: true,
    });
  }
}

/** PostgreSQL refused or could not do what was asked. `sqlState` is its code, where it gave one. */
export class DatabaseError extends CheckpointQueueError {
  /** What refused a row, where PostgreSQL itself names it: never from an error that a trigger or function raised. */
  readonly constraint: string | undefined;
  readonly column: string | undefined;

  constructor(
    message: string,
    readonly sqlState: string | undefined,
    {
      cause,
      constraint,
      column,
    }: { cause?: unknown; constraint?: string | undefined; column?: string | undefined } = {},
  ) {
    super('DATABASE', message, cause === undefined ? undefined : { cause });
    this.constraint = constraint;
    this.column = column;
  }
}

/** The table of that name is not a checkpoint table of ours or of LangGraphGo. Nothing was changed. */
export class SchemaMismatchError extends CheckpointQueueError {
  constructor(
    readonly table: string,
    problem: string,
  ) {
    super(
      'SCHEMA_MISMATCH',
      `Table ${table} ${problem}. Choose another schema or table (options schema, table; CKPT_SCHEMA, CKPT_TABLE)`,
    );
  }
}

/** Acknowledged saves were not committed within the time given. They are not lost: they stay queued. */
export class PendingWritesTimeoutError extends CheckpointQueueError {
  constructor(
    /** 0: what became of them could not be asked in time. */
    readonly pendingJobs: number,
    readonly timeoutMs: number,
    /** Undefined where a worker takes jobs and has not come to these. */
    readonly reason?: DrainProblem,
  ) {
    const problem =
      pendingJobs === 0
        ? `Neither Redis nor PostgreSQL has told within ${timeoutMs} ms what became of the saves`
        : `${pendingJobs} queued write job(s) not committed after ${timeoutMs} ms: ${drainProblemText(reason)}`;
    super('PENDING_WRITES_TIMEOUT', `${problem}. What was acknowledged is kept`);
  }
}

/** PostgreSQL refuses this save for good. It is kept among the dead letters until it is replayed or purged. */
export class DeadLetteredError extends CheckpointQueueError {
  /** Of the checkpoint. */
  readonly id: string;
  readonly executionId: string;
  readonly deadLetterId: string;
  /** Why it is refused; holds no value of the checkpoint. */
  readonly reason: string;
  /** PostgreSQL's code, where it gave one. */
  readonly sqlState: string | undefined;

  constructor(
    letter: Pick<DeadLetteredError, 'id' | 'executionId' | 'deadLetterId' | 'reason'> & {
      sqlState: string | null;
    },
  ) {
    super(
      'DEAD_LETTERED',
      `Checkpoint ${JSON.stringify(letter.id)} is refused and kept as dead letter ${letter.deadLetterId}: ${letter.reason}`,
    );
    this.id = letter.id;
    this.executionId = letter.executionId;
    this.deadLetterId = letter.deadLetterId;
    this.reason = letter.reason;
    this.sqlState = letter.sqlState ?? undefined;
  }
}

/** A filter or an option of `DeadLetters` is not usable; `field` names it, its value is not repeated. Nothing was done. */
export class InvalidFilterError extends CheckpointQueueError {
  constructor(
    readonly field: string,
    readonly problem: string,
  ) {
    super('INVALID_FILTER', `Invalid selection of dead letters: ${field} ${problem}`);
  }
}

/** A line is no dead letter that can be imported. The lines before it are. Its values are not repeated. */
export class InvalidDeadLetterError extends CheckpointQueueError {
  constructor(
    /** From 1. */
    readonly line: number,
    readonly field: string,
    problem: string,
  ) {
    super('INVALID_DEAD_LETTER', `Line ${line} is no dead letter: ${field} ${problem}`);
  }
}

/** There is no dead letter of this id, or not any more: it was replayed or purged. */
export class DeadLetterNotFoundError extends CheckpointQueueError {
  constructor(readonly deadLetterId: string) {
    super('DEAD_LETTER_NOT_FOUND', `No dead letter ${JSON.stringify(deadLetterId)}`);
  }
}

/** The dead letter is in the queue again as it was, by a replay under way: an edit would come too late. */
export class DeadLetterBusyError extends CheckpointQueueError {
  constructor(readonly deadLetterId: string) {
    super('DEAD_LETTER_BUSY', `Dead letter ${JSON.stringify(deadLetterId)} is being replayed as it is`);
  }
}

/** This job cannot be read: it is none that a producer made, or its payload is gone. It is kept in the queue's failed set. */
export class WriteRefusedError extends CheckpointQueueError {
  constructor(
    readonly jobId: string,
    reason: string,
  ) {
    super('WRITE_REFUSED', `Write job ${jobId} cannot be read and is kept among the failed jobs: ${reason}`);
  }
}

/**
 * The save is neither stored nor superseded nor deleted: Redis lost it after it was acknowledged (it keeps no append-only
 * file, or lost its tail), or another program removed the row.
 */
export class SaveLostError extends CheckpointQueueError {
  constructor(
    readonly id: string,
    readonly sequence: number,
  ) {
    super(
      'SAVE_LOST',
      `Save ${sequence} of checkpoint ${JSON.stringify(id)} is not in PostgreSQL, nor in the queue`,
    );
  }
}

/** A job's payload is not a chunk that this version can read, or is missing. The job is kept. */
export class InvalidChunkError extends CheckpointQueueError {
  constructor(problem: string) {
    super('INVALID_CHUNK', `Not a readable chunk: ${problem}`);
  }
}

/** A job is meant for another worker: of another table, or of a release with further sinks. It goes back to the queue. */
export class MisroutedChunkError extends CheckpointQueueError {
  constructor(problem: string) {
    super('MISROUTED_CHUNK', `Not for this worker: ${problem}`);
  }
}

/** The store, recorder, producer or writer was closed. */
export class ClosedError extends CheckpointQueueError {
  constructor(what: string) {
    super('CLOSED', `The ${what} is closed`);
  }
}
