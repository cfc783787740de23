import { errorCopy } from '../error-copy.js';
import type { Logger } from '../logger.js';
import { CheckpointWriter } from '../writer/checkpoint-writer.js';
import type { PipelineOptions } from '../writer/pipeline-options.js';
import type { CheckpointWriterOptions } from '../writer/writer-options.js';

/** How the writer in a store's own process works; where it works is where the store does. */
export type EmbeddedWriterOptions = Omit<CheckpointWriterOptions, keyof PipelineOptions>;

/** A writer replica that begins with its store and ends with it. */
export class EmbeddedWriter {
  readonly #writer: CheckpointWriter;
  readonly #started: Promise<void>;
  #failure: Error | undefined;

  /** @throws InvalidConfigError naming the option */
  constructor(options: CheckpointWriterOptions, logger: Logger, onFailure: (error: Error) => void) {
    this.#writer = new CheckpointWriter(options);
    this.#started = this.#writer.start().catch((error: Error) => {
      this.#failure = error;
      const { code, message: reason } = error as { code?: string } & Error;
      logger.error({ code, ...(code !== undefined && { reason }) }, 'the embedded writer could not start');
      onFailure(error);
    });
  }

  /** @throws SchemaMismatchError, InvalidConfigError or RedisAccessError if it could not start: nothing that is saved here would ever be committed */
  assertStarted(): void {
    if (this.#failure) throw errorCopy(this.#failure);
  }

  /** Whether it can ever commit anything. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** Commits what it has in hand by the deadline. */
  async close(deadlineMs: number): Promise<void> {
    const closing = this.#writer.close({ deadlineMs });
    await this.#started;
    await closing;
  }
}
