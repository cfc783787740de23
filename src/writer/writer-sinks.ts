import { InvalidConfigError } from '../errors.js';
import type { TableNames } from '../postgres/identifiers.js';
import { CheckpointSink } from './checkpoint-sink.js';
import type { Sink } from './sink.js';
import type { CheckpointWriterOptions } from './writer-options.js';

/**
 * The sinks of a writer, by name: the checkpoint table's unless `checkpoints` is false, then those of the option `sinks`.
 * @throws InvalidConfigError naming `checkpoints`, `sinks` or `retention`
 */
export function writerSinks(
  { checkpoints = true, sinks = [], retention }: CheckpointWriterOptions,
  names: TableNames,
): ReadonlyMap<string, Sink> {
  if (typeof checkpoints !== 'boolean') throw new InvalidConfigError('checkpoints', 'must be true or false');
  if (!Array.isArray(sinks) || !sinks.every(isSink)) {
    throw new InvalidConfigError('sinks', 'must be an array of sinks, such as [langGraphSink()]');
  }
  if (!checkpoints && retention && (retention.keepLast ?? retention.olderThan) !== undefined) {
    throw new InvalidConfigError(
      'retention',
      'keepLast and olderThan remove rows of the checkpoint table, which checkpoints: false leaves out',
    );
  }
  const all: Sink[] = checkpoints ? [new CheckpointSink(names), ...sinks] : sinks;
  if (all.length === 0) throw new InvalidConfigError('sinks', 'must not be empty with checkpoints: false');
  const byName = new Map(all.map((sink) => [sink.name, sink]));
  // Jobs name their sink, so the second one would silently take the place of the first.
  if (byName.size < all.length) {
    throw new InvalidConfigError(
      'sinks',
      'has two of the same name: give each a writer and a queue of its own',
    );
  }
  return byName;
}

function isSink(value: unknown): value is Sink {
  const { name, stage } = (value ?? {}) as Partial<Sink>;
  return typeof name === 'string' && typeof stage === 'function';
}
