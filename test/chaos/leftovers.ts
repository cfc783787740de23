import type { Redis } from 'ioredis';
import { deadLetterKeys, jobIdOfMark, type QueueKeys } from '../../src/redis/queue-keys.js';
import { OrphanSweep } from '../../src/writer/orphan-sweep.js';

/** What stands in Redis without a job, of the queue and of its dead letters. */
export interface Leftovers {
  payloads: number;
  chunks: number;
  marks: number;
  /** Dead letters that could not be replayed, for they have no payload. */
  lettersWithoutPayload: number;
  /** Keys of none of the kinds that are known. */
  unknown: string[];
}

/** As `Leftovers`, with names of some of them. */
export interface LeftoverReport extends Leftovers {
  readonly examples: string[];
}

const SCAN_COUNT = 1000;
const MAX_EXAMPLES = 20;
/** Keys of ours and of BullMQ that a drained queue has: they are one each, whatever went through it. */
const SINGLE =
  /^(ckpt-(sequence|chunks|marks|counters|workers)|meta|id|events|stalled-check|marker|stalled|wait|active|failed|prioritized|pc|delayed|paused|completed)$/;

/** Removes what leads to nothing any more, as the writers do after ten minutes. @returns how many chunks and marks */
export async function sweepNow(client: Redis, keys: QueueKeys): Promise<number> {
  let swept = 0;
  for (const of of [keys, deadLetterKeys(keys)]) {
    const sweep = new OrphanSweep(client, of);
    await sweep.sweep(0); // the first look only suspects
    swept += await sweep.sweep(0);
  }
  return swept;
}

/** Looks when the queue is drained and nobody saves. */
export async function leftovers(client: Redis, keys: QueueKeys): Promise<LeftoverReport> {
  const [live, dead] = await Promise.all([lookAt(client, keys), lookAt(client, deadLetterKeys(keys))]);
  const sum = (name: 'payloads' | 'chunks' | 'marks') => live[name].length + dead[name].length;
  const orphans = [live, dead].flatMap(({ payloads, chunks, marks }) => [...payloads, ...chunks, ...marks]);
  return {
    payloads: sum('payloads'),
    chunks: sum('chunks'),
    marks: sum('marks'),
    lettersWithoutPayload: dead.withoutPayload.length,
    unknown: [...live.unknown, ...dead.unknown],
    examples: [...orphans, ...dead.withoutPayload].slice(0, MAX_EXAMPLES),
  };
}

interface Found {
  payloads: string[];
  chunks: string[];
  marks: string[];
  withoutPayload: string[];
  unknown: string[];
}

async function lookAt(client: Redis, keys: QueueKeys): Promise<Found> {
  const jobs = new Set<string>();
  const payloads = new Set<string>();
  const unknown: string[] = [];
  for (const key of await keysOf(client, keys.jobPrefix)) {
    const name = key.slice(keys.jobPrefix.length);
    if (key.startsWith(keys.payloadPrefix)) {
      // On its way when its producer died: it goes by itself.
      if (await expires(client, key)) continue;
      payloads.add(key.slice(keys.payloadPrefix.length));
    } else if (/^[wrd]-\d+(-\d+)?$/.test(name)) jobs.add(name);
    else if (!SINGLE.test(name) && !(await expires(client, key))) unknown.push(key);
  }
  const chunks = await client.zrange(keys.chunks, '0', '-1');
  const marks = await client.zrange(keys.marks, '0', '-1');
  return {
    payloads: [...payloads].filter((id) => !jobs.has(id)).map((id) => keys.payloadPrefix + id),
    chunks: chunks.filter((id) => !jobs.has(id)),
    marks: marks.filter((mark) => !jobs.has(jobIdOfMark(mark))),
    withoutPayload: [...jobs].filter((id) => !payloads.has(id)),
    unknown,
  };
}

async function keysOf(client: Redis, prefix: string): Promise<string[]> {
  const keys = new Set<string>();
  const pattern = `${prefix.replace(/[*?[\]\\]/g, '\\$&')}*`;
  for (let cursor = '0'; ; ) {
    const [next, found] = await client.scan(cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT);
    for (const key of found) keys.add(key);
    if (next === '0') return [...keys];
    cursor = next;
  }
}

async function expires(client: Redis, key: string): Promise<boolean> {
  const ttl = await client.pttl(key);
  return ttl !== -1; // -2: it has gone meanwhile
}
