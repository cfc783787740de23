import { DeadLetters } from '../../src/index.js';
import type { FaultOracle } from '../faults/oracle.js';
import { type Arena, QUEUE, SCHEMA } from './arena.js';
import { drain } from './drain.js';
import { type LeftoverReport, leftovers, sweepNow } from './leftovers.js';
import type { PoisonLedger } from './poison.js';
import type { Findings } from './promises.js';

const ALL = Number.MAX_SAFE_INTEGER;
const DRAIN_MS = 180_000;

export interface Checked {
  readonly rows: number;
  readonly deadLetters: { expected: number; found: number; replayed: number };
  /** Before a sweep, what killed producers left, and after it. */
  readonly leftovers: { before: LeftoverReport; swept: number; after: LeftoverReport };
}

export interface Witnesses {
  readonly oracle: FaultOracle;
  readonly poison: PoisonLedger;
}

/** Compares what is stored with what was promised, when no fault is made and nobody saves any more; workers must run. */
export async function verify(
  arena: Arena,
  { oracle, poison }: Witnesses,
  findings: Findings,
  onProgress: (message: string) => void,
): Promise<Checked> {
  const place = { pool: arena.pool, schema: SCHEMA };
  const letters = new DeadLetters({
    redis: arena.redis.url,
    postgres: arena.postgresUrl,
    schema: SCHEMA,
    queue: QUEUE,
  });
  try {
    onProgress('draining');
    const left = await drain(arena, DRAIN_MS);
    if (left > 0) findings.notDrained.push(`${left} jobs`);
    await failedJobs(arena, findings);

    onProgress('comparing what is stored');
    const found = await letters.list({ limit: ALL });
    const dead = poison.judge(found);
    findings.deadLettersMissing.push(...dead.missing);
    findings.deadLettersUnexpected.push(...dead.unexpected);
    findings.duplicates.push(...dead.duplicates);
    const { lost, stale, resurrected, unexpected } = await oracle.verify(place, {
      deadLetters: found.map(({ id }) => id),
    });
    findings.lost.push(...(await oracle.explain(place, lost)));
    findings.stale.push(...(await oracle.explain(place, stale)));
    findings.resurrected.push(...(await oracle.explain(place, resurrected)));
    findings.unexpected.push(...(await oracle.explain(place, unexpected)));
    const rows = await countRows(arena, findings);

    const before = await leftovers(arena.client, arena.keys);
    const swept = await sweepNow(arena.client, arena.keys);
    const after = await leftovers(arena.client, arena.keys);
    const { payloads, chunks, marks, lettersWithoutPayload, unknown, examples } = after;
    if (payloads + chunks + marks + lettersWithoutPayload > 0) {
      findings.leftovers.push(
        `${payloads} payloads, ${chunks} chunks, ${marks} marks, ${lettersWithoutPayload} dead letters without payload: ${examples.join(' ')}`,
      );
    }
    findings.leftovers.push(...unknown);

    onProgress('replaying the dead letters');
    await arena.acceptPoison();
    const { replayed, deadAgain } = await letters.replay({ all: true });
    if (deadAgain > 0) findings.notRepaired.push(`${deadAgain} are dead letters again`);
    const behind = await drain(arena, DRAIN_MS);
    if (behind > 0) findings.notDrained.push(`${behind} jobs of replays`);
    const repaired = await oracle.verify(place);
    // What was wrong before is told already.
    const known = new Set([...lost, ...stale, ...resurrected, ...unexpected]);
    for (const wrong of ['lost', 'stale', 'resurrected', 'unexpected'] as const) {
      findings.notRepaired.push(
        ...repaired[wrong].filter((id) => !known.has(id)).map((id) => `${id} is ${wrong}`),
      );
    }
    return {
      rows,
      deadLetters: { expected: dead.expected, found: dead.found, replayed },
      leftovers: { before, swept, after },
    };
  } finally {
    await letters.close();
  }
}

async function failedJobs({ client, keys }: Arena, findings: Findings): Promise<void> {
  for (const jobId of await client.zrange(keys.failed, '0', '-1')) {
    const reason = await client.hget(keys.jobPrefix + jobId, 'failedReason');
    findings.failedJobs.push(`${jobId}: ${reason ?? 'no reason'}`);
  }
}

/** Past the index, which would hide a second row of an id. */
async function countRows({ pool }: Arena, findings: Findings): Promise<number> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN; SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off');
    const twice = await client.query(
      `SELECT id, count(*) FROM ${SCHEMA}.checkpoints GROUP BY id HAVING count(*) > 1`,
    );
    findings.duplicates.push(...twice.rows.map(({ id }) => `row of ${id}`));
    const { rows } = await client.query(`SELECT count(*) FROM ${SCHEMA}.checkpoints`);
    return Number(rows[0].count);
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}
