import { CheckpointQueueError } from '../errors.js';
import { redisErrorText } from '../redis/connection.js';
import { timerMs } from '../redis/deadline.js';
import { type Check, error, type Finding, type Verdict } from './finding.js';

/** All checks at once, each for itself: one that fails, or does not come to an end in time, is an error and hides no other. */
export function lookAtAll<Subject>(
  checks: ReadonlyArray<Check<Subject>>,
  subject: Subject,
  timeoutMs: number,
): Promise<Finding[]> {
  return Promise.all(checks.map((check) => lookAt(check, subject, timeoutMs)));
}

export async function lookAt<Subject>(
  { name, look }: Check<Subject>,
  subject: Subject,
  timeoutMs: number,
): Promise<Finding> {
  const verdict = await verdictOf(async () => look(subject), timeoutMs);
  return { check: name, ...verdict };
}

async function verdictOf(look: () => Promise<Verdict>, timeoutMs: number): Promise<Verdict> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<Verdict>((resolve) => {
    const verdict = error(
      `not known: no answer within ${timeoutMs} ms`,
      'See whether the server is overloaded, or give it longer: --timeout.',
    );
    timer = setTimeout(() => resolve(verdict), timerMs(timeoutMs));
  });
  const looking = look().catch((cause) =>
    error(`not known: ${reasonOf(cause)}`, 'Fix that first, then run the doctor again.'),
  );
  try {
    return await Promise.race([looking, expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** Errors of ours are free of data; of others, which quote commands and rows, only the code or name is told. */
export function reasonOf(cause: unknown): string {
  return cause instanceof CheckpointQueueError ? cause.message : redisErrorText(cause);
}
