import { required, withServices } from '../config.js';
import { pickKnown } from '../known-keys.js';
import { type Logger, silentLogger } from '../logger.js';
import type { ProducerLimits } from '../producer/limits.js';
import type { CheckpointStore, ReadOptions } from '../store/checkpoint-store.js';
import { PostgresCheckpointStore } from '../store/postgres-store.js';
import { QUEUED_STORE_OPTIONS } from '../store/queued-options.js';
import { QueuedCheckpointStore } from '../store/queued-store.js';
import { type CommandContext, note, UsageError } from './command.js';

/** Options of the commands that read. */
export interface ReadCommandOptions {
  consistency?: string;
  timeoutMs?: string;
  json?: boolean;
}

export function openQueuedStore(
  { config, closing }: CommandContext,
  options: Partial<ProducerLimits> & { logger?: Logger } = {},
): QueuedCheckpointStore {
  const settings = pickKnown(withServices(config), QUEUED_STORE_OPTIONS);
  return closing(new QueuedCheckpointStore({ ...settings, ...options }));
}

/** Reading what is committed needs PostgreSQL alone, or a replica of it; the latest state needs Redis as well. */
export function openForReading(
  context: CommandContext,
  options: ReadCommandOptions,
): [CheckpointStore, ReadOptions] {
  const { consistency = 'committed', timeoutMs } = options;
  if (consistency !== 'committed' && consistency !== 'latest') {
    throw new UsageError('--consistency', 'must be committed or latest');
  }
  const readOptions: ReadOptions = {
    consistency,
    ...(timeoutMs !== undefined && { timeoutMs: wholeNumber('--timeout-ms', timeoutMs) }),
  };
  if (consistency === 'latest') return [openQueuedStore(context), readOptions];
  const { schema, table, readPostgres } = context.config;
  const postgres = required(context.config, 'postgres');
  const store = new PostgresCheckpointStore({ postgres, readPostgres, schema, table, logger: TO_STDERR });
  return [context.closing(store), readOptions];
}

/** What a person should know beside the result: why something takes long, or is not of the replica that was asked for. */
export const TO_STDERR: Logger = { ...silentLogger, warn: (_, message) => note(`ckpt: ${message}`) };

/** @throws UsageError naming the option. */
export function wholeNumber(
  option: string,
  text: string,
  minimum = 0,
  maximum = Number.MAX_SAFE_INTEGER,
): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < minimum || value > maximum) {
    const range =
      maximum === Number.MAX_SAFE_INTEGER ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`;
    throw new UsageError(option, `must be a whole number ${range}`);
  }
  return value;
}
