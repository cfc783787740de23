import type { DatabaseError } from '../errors.js';
import type { Logger } from '../logger.js';
import { refusesLogin } from './sqlstate.js';

/** A PostgreSQL that is away comes back; a login that is refused stays so until somebody changes a setting. */
export function logNotReady(logger: Logger, { sqlState, message: reason }: DatabaseError): void {
  if (refusesLogin(sqlState)) logger.error({ sqlState, reason }, 'PostgreSQL refuses the login');
  else logger.warn({ sqlState, reason }, 'PostgreSQL is not ready yet');
}
