import { afterAll, beforeAll } from 'vitest';
import { CheckpointWriter } from '../../src/index.js';
import type { QueuedPostgresSaver } from '../../src/langgraph/index.js';
import { openPlace, type Place } from '../store/place.js';
import { graphWriterOptions } from './graph-writer.js';
import { openSaver } from './place.js';

/** A saver, and who commits what it puts, for all tests of a file; each test has threads of its own. */
export interface SharedSaver {
  readonly place: Place;
  readonly saver: QueuedPostgresSaver;
}

/** To be called once, where the tests are declared; there when they run. */
export function sharedSaver(): () => SharedSaver {
  let place: Place;
  let saver: QueuedPostgresSaver;
  let writer: CheckpointWriter;
  beforeAll(async () => {
    place = await openPlace();
    saver = openSaver(place);
    writer = new CheckpointWriter(graphWriterOptions(place));
    await writer.start();
  });
  afterAll(async () => {
    await saver?.end();
    await writer?.close();
    await place?.remove();
  });
  return () => ({ place, saver });
}
