import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { QueueStats } from '../../src/redis/queue-stats.js';
import type { CheckpointWriter } from '../../src/writer/checkpoint-writer.js';

/** What is measured of a writer. */
export type MeasuredWriter = Pick<CheckpointWriter, 'on' | 'stats' | 'breaker' | 'pool'>;

/** Codes that a trigger raises are its own: more than this many different ones count together, as `other`. */
const MAX_SQL_STATES = 50;

/** From a lone save of an idle pipeline to an outage of hours. */
const LAG_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200];
const DURATION_SECONDS = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 35];
const BATCH_RECORDS = [1, 3, 10, 30, 100, 300, 1000, 2000, 4000, 8000, 32_000];
const BATCH_BYTES = [1e3, 1e4, 1e5, 3e5, 1e6, 2e6, 4e6, 8e6, 3.2e7];

/**
 * The metrics of one writer, in a registry of their own. Those of the queue are the same from every replica; those of the writer
 * are of this one. No label holds an id, an execution or anything else of a checkpoint.
 */
export class WriterMetrics {
  readonly registry = new Registry();

  /** @param readQueue undefined while Redis cannot be asked: then there are no samples of the queue */
  constructor(writer: MeasuredWriter, queue: string, readQueue: () => Promise<QueueStats | undefined>) {
    this.registry.setDefaultLabels({ queue });
    collectDefaultMetrics({ register: this.registry });
    this.#measureQueue(readQueue);
    this.#measureBatches(writer);
    this.#measureWriter(writer);
  }

  /** In the format that Prometheus reads. */
  text(): Promise<string> {
    return this.registry.metrics();
  }

  #measureQueue(read: () => Promise<QueueStats | undefined>): void {
    this.#sampled(
      'ckpt_queue_jobs',
      'Jobs of the queue; each holds one chunk of saves',
      ['state'],
      async () => {
        const stats = await read();
        if (!stats) return [];
        const { waiting, active, delayed, failed } = stats;
        return Object.entries({ waiting, active, delayed, failed }).map(([state, value]) => ({
          labels: { state },
          value,
        }));
      },
    );
    const one = (name: string, help: string, value: (stats: QueueStats) => number) =>
      this.#sampled(name, help, [], async () => {
        const stats = await read();
        return stats ? [{ labels: {}, value: value(stats) }] : [];
      });
    one(
      'ckpt_queue_oldest_age_seconds',
      'Age of the oldest acknowledged save that is not committed; 0 if there is none',
      ({ oldestAgeMs = 0 }) => oldestAgeMs / 1000,
    );
    one('ckpt_queue_dead_letters', 'Saves that PostgreSQL refused, kept', ({ deadLetters }) => deadLetters);
    one('ckpt_queue_workers', 'Worker replicas that run', ({ workers }) => workers.length);
    this.#sampled('ckpt_redis_up', 'Whether Redis answers', [], async () => [
      { labels: {}, value: (await read()) ? 1 : 0 },
    ]);
  }

  #measureBatches(writer: MeasuredWriter): void {
    const histogram = (name: string, help: string, buckets: number[]) =>
      new Histogram({ name, help, buckets, registers: [this.registry] });
    const lag = histogram('ckpt_save_to_commit_seconds', 'From save to commit, of each record', LAG_SECONDS);
    const records = histogram('ckpt_batch_records', 'Records of a committed batch', BATCH_RECORDS);
    const bytes = histogram('ckpt_batch_bytes', 'Bytes of a committed batch', BATCH_BYTES);
    const duration = histogram(
      'ckpt_batch_duration_seconds',
      'Time of a batch in PostgreSQL',
      DURATION_SECONDS,
    );
    writer.on('batch', (batch) => {
      records.observe(batch.records);
      bytes.observe(batch.bytes);
      duration.observe(batch.durationMs / 1000);
      for (const { records: count, lagMs } of batch.lags) {
        for (let record = 0; record < count; record++) lag.observe(lagMs / 1000);
      }
    });
  }

  #measureWriter(writer: MeasuredWriter): void {
    new Counter({
      name: 'ckpt_records_total',
      help: 'Records that this writer has brought to their end',
      labelNames: ['outcome'],
      registers: [this.registry],
      collect() {
        const { committed, superseded, deleted, deadLettered } = writer.stats;
        this.reset();
        for (const [outcome, count] of Object.entries({
          committed,
          superseded,
          deleted,
          dead_lettered: deadLettered,
        })) {
          this.inc({ outcome }, count);
        }
      },
    });
    const retries = new Counter({
      name: 'ckpt_retries_total',
      help: 'Batches that were not committed and are tried again, by SQLSTATE; none: there was no connection',
      labelNames: ['sqlstate'],
      registers: [this.registry],
    });
    const known = new Set<string>();
    writer.on('retry', ({ sqlState = 'none' }) => {
      if (known.size < MAX_SQL_STATES) known.add(sqlState);
      retries.inc({ sqlstate: known.has(sqlState) ? sqlState : 'other' });
    });
    this.#sampled(
      'ckpt_breaker_open',
      'Whether this writer waits for PostgreSQL and takes no new jobs',
      [],
      () => [{ labels: {}, value: writer.breaker.state === 'open' ? 1 : 0 }],
    );
    this.#sampled('ckpt_pool_connections', 'Connections of this writer to PostgreSQL', ['state'], () => {
      const { pool } = writer;
      if (!pool) return [];
      const { open, idle, waiting, max } = pool;
      return Object.entries({ lent: open - idle, idle, awaited: waiting, max }).map(([state, value]) => ({
        labels: { state },
        value,
      }));
    });
  }

  /** A gauge that is read when it is asked for; what is not told has no sample. */
  #sampled(
    name: string,
    help: string,
    labelNames: string[],
    samples: () => Sample[] | Promise<Sample[]>,
  ): void {
    const gauge: Gauge = new Gauge({
      name,
      help,
      labelNames,
      registers: [this.registry],
      async collect() {
        const found = await samples();
        if (labelNames.length > 0) gauge.reset();
        else gauge.remove();
        for (const { labels, value } of found) gauge.set(labels, value);
      },
    });
  }
}

interface Sample {
  readonly labels: Record<string, string>;
  readonly value: number;
}
