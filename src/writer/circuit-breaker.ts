import type { FailureClass } from '../postgres/sqlstate.js';

/** Whether PostgreSQL can be written to, as one worker sees it. */
export interface BreakerState {
  readonly state: 'closed' | 'open';
  /** Milliseconds since 1970. */
  readonly since: number;
  /** While it is open: why. `sqlState` is missing where there is no connection at all. */
  readonly failure?: FailureClass;
  readonly sqlState?: string;
}

/** Why a batch was not committed and is tried again. */
export interface Failure {
  readonly failure: FailureClass;
  /** PostgreSQL's code; missing where there was no connection. */
  readonly sqlState?: string | undefined;
}

/** Failures in a row of a kind that others in the database cause, such as a deadlock, until it counts as unavailable. */
const MAX_CONTENTION = 5;
/** serialization_failure, deadlock_detected, lock_not_available, query_canceled, idle_in_transaction_session_timeout. */
const CONTENTION = new Set(['40001', '40P01', '55P03', '57014', '25P03']);

/**
 * Opens when PostgreSQL cannot be written to: from then on the worker takes no new jobs, so that they are free for others and
 * its memory does not grow. What it has in hand is tried again all the while; the first success closes it.
 */
export class CircuitBreaker {
  #state: BreakerState = { state: 'closed', since: Date.now() };
  #contention = 0;

  constructor(private readonly onChange: (state: BreakerState) => void) {}

  get state(): BreakerState {
    return this.#state;
  }

  failed({ failure, sqlState }: Failure): void {
    if (this.#state.state === 'open') return;
    if (CONTENTION.has(sqlState ?? '') && ++this.#contention < MAX_CONTENTION) return;
    this.#change({ state: 'open', since: Date.now(), failure, ...(sqlState !== undefined && { sqlState }) });
  }

  succeeded(): void {
    this.#contention = 0;
    if (this.#state.state === 'open') this.#change({ state: 'closed', since: Date.now() });
  }

  #change(state: BreakerState): void {
    this.#contention = 0;
    this.#state = state;
    this.onChange(state);
  }
}
