import type { DatabaseError } from '../errors.js';
import { isRaised, isRefusedStatement } from './database-errors.js';
import { classifyFailure, lacksPartition } from './sqlstate.js';

/**
 * Whether single records of a batch may be the reason why PostgreSQL did not take it. A hint for what to try first: what decides is
 * which records it refuses alone while it takes others.
 *
 * - `none`: the server, the connection or the login is; no record could be written now.
 * - `others`: a lock, the load, a damaged page or a partition that is missing may stop a single record. The rest goes on without it; it is not to blame.
 * - `suspected`: a trigger, a policy or an internal error may refuse a record. It is to blame if others pass.
 * - `certain`: PostgreSQL refuses a value of it.
 */
export type Blame = 'none' | 'others' | 'suspected' | 'certain';

const OTHERS = new Set([
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  '55P03', // lock_not_available
  '57014', // query_canceled: it took too long
  '53200', // out_of_memory
  'XX001', // data_corrupted
  'XX002', // index_corrupted
]);
/** System errors: a file cannot be read. */
const OTHERS_CLASS = '58';

export function blameOf(error: DatabaseError): Blame {
  const failure = classifyFailure(error);
  if (failure === 'record') return 'certain';
  if (!isRefusedStatement(error)) return 'none';
  if (lacksPartition(error.cause)) return 'others';
  // A trigger that raises an error may give it any code.
  if (isRaised(error)) return 'suspected';
  const { sqlState = '' } = error;
  if (OTHERS.has(sqlState) || sqlState.startsWith(OTHERS_CLASS)) return 'others';
  // The privileges of a table are asked for whatever is written, those of row-level security for each row.
  if (sqlState === INSUFFICIENT_PRIVILEGE) return 'suspected';
  return failure === 'transient' || failure === 'environment' ? 'none' : 'suspected';
}

const INSUFFICIENT_PRIVILEGE = '42501';
