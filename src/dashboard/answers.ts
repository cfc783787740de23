import { CheckpointQueueError } from '../errors.js';

/** What the API says of a request that it does not do. */
export interface ErrorAnswer {
  readonly error: { readonly code: string; readonly message: string; readonly field?: string };
}

/** A request that is refused, with the status that says so. */
export class RequestError extends CheckpointQueueError {
  constructor(
    readonly status: number,
    code: string,
    message: string,
    /** The parameter that is wrong. */
    readonly field?: string,
  ) {
    super(code, message);
  }
}

/** A parameter or a field of the body cannot be used. Its value is not repeated. */
export class InvalidRequestError extends RequestError {
  constructor(field: string, problem: string) {
    super(400, 'INVALID_REQUEST', `Invalid request: ${field} ${problem}`, field);
  }
}

/** Of errors that are the answer to a question, and not a surprise. */
const STATUS: Readonly<Record<string, number>> = {
  INVALID_FILTER: 400,
  INVALID_CHECKPOINT: 400,
  DEAD_LETTER_NOT_FOUND: 404,
  CHECKPOINT_NOT_FOUND: 404,
  INVALID_CHUNK: 422,
  BACKPRESSURE: 503,
  QUEUE_UNAVAILABLE: 503,
  DATABASE: 503,
  CLOSED: 503,
};

/** Of an `HttpError`. */
const WORDS: Readonly<Record<number, string>> = {
  400: 'the request cannot be read',
  413: 'the body is too large',
  415: 'the body must be of type application/json',
  503: 'it took too long',
};

/** The status and the body that tell of an error. Of one that is not expected nothing is told: its message may hold data. */
export function answerOf(error: unknown): { status: number; body: ErrorAnswer; expected: boolean } {
  if (error instanceof CheckpointQueueError) {
    const status = error instanceof RequestError ? error.status : STATUS[error.code];
    if (status !== undefined) {
      const { field } = error as { field?: string };
      return { status, body: errorBody(error.code, error.message, field), expected: true };
    }
  }
  const { statusCode } = (error ?? {}) as { statusCode?: number };
  const words = statusCode === undefined ? undefined : WORDS[statusCode];
  if (statusCode !== undefined && words !== undefined) {
    return { status: statusCode, body: errorBody('REQUEST', words), expected: true };
  }
  return { status: 500, body: errorBody('UNEXPECTED', 'unexpected error'), expected: false };
}

export function errorBody(code: string, message: string, field?: string): ErrorAnswer {
  return { error: { code, message, ...(field !== undefined && { field }) } };
}
