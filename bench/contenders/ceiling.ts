import { serializeCheckpoint } from '../../src/checkpoint.js';
import { Database } from '../../src/postgres/database.js';
import { tableNames } from '../../src/postgres/identifiers.js';
import { BatchWriter } from '../../src/writer/batch-writer.js';
import { CheckpointRow } from '../../src/writer/checkpoint-row.js';
import { CheckpointSink } from '../../src/writer/checkpoint-sink.js';
import type { WriteRecord } from '../../src/writer/sink.js';
import { WRITER_DEFAULTS } from '../../src/writer/writer-options.js';
import { afterCommit, NO_COMMITS, rateAfterFirst } from '../commits.js';
import { queueRecords } from '../plan.js';
import { checkpointOf, saveSource } from '../saves.js';
import type { Run } from '../subject.js';
import type { Contender } from './contender.js';

/** More would only fill this process's memory: all records are encoded beforehand. */
const MOST_BYTES = 192 * 1024 * 1024;

const { maxBatchRecords, maxBatchBytes, maxConcurrentBatches } = WRITER_DEFAULTS;

/** Nothing that ends in this table, by this merge, is faster: no queue, no producer, no other process. */
export const ceiling: Contender = {
  name: 'ceiling',
  about: `binary COPY and merge of encoded records from memory, ${maxConcurrentBatches} connections`,
  async measure(run) {
    const { databaseUrl, schema } = run.place.address;
    const database = new Database(databaseUrl, { max: maxConcurrentBatches });
    const sink = new CheckpointSink(tableNames({ schema }));
    const writer = new BatchWriter(database);
    try {
      await sink.migrate(database);
      const batches = encodedBatches(run);
      const records = batches.reduce((sum, batch) => sum + batch.length, 0);
      let commits = NO_COMMITS;
      const write = async () => {
        for (let batch = batches.shift(); batch; batch = batches.shift()) {
          run.signal.throwIfAborted();
          const { committed } = await writer.write([{ sink, records: batch }]);
          commits = afterCommit(commits, committed);
        }
      };
      await Promise.all(Array.from({ length: maxConcurrentBatches }, write));
      await run.place.expectRows(schema, 'checkpoints', records);
      return { drain: rateAfterFirst(commits) };
    } finally {
      await database.close();
    }
  },
};

/** Batches as large as the worker's. */
function encodedBatches({ plan, states }: Run): WriteRecord[][] {
  const next = saveSource(states);
  const count = Math.min(queueRecords(plan, states), Math.floor(MOST_BYTES / states.meanBytes));
  const batches: WriteRecord[][] = [[]];
  let bytes = 0;
  for (let sequence = 1; sequence <= count; sequence++) {
    const body = new CheckpointRow(serializeCheckpoint(checkpointOf(next()))).toBuffer();
    let batch = batches.at(-1) as WriteRecord[];
    if (batch.length === maxBatchRecords || (batch.length > 0 && bytes + body.length > maxBatchBytes)) {
      batch = [];
      batches.push(batch);
      bytes = 0;
    }
    batch.push({ sequence, body });
    bytes += body.length;
  }
  return batches;
}
