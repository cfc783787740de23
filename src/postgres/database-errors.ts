import type pg from 'pg';
import { CheckpointQueueError, DatabaseError } from '../errors.js';
import { conditionOf, lacksPartition, sqlStateOf } from './sqlstate.js';

/** The connection was lost together with what failed on it. */
export class BrokenConnection extends Error {
  constructor(override readonly cause: unknown) {
    super('connection broken');
  }
}

/** What is kept of PostgreSQL's own error, as the cause of a `DatabaseError`. No value of a row. */
interface Origin {
  readonly routine?: string;
  /** Of a COPY, from 1. */
  readonly copyLine?: number;
}

/** Errors of statements whose session went on. */
const REFUSED = new WeakSet<object>();

/** Notes that PostgreSQL refused a statement and the session went on: neither the server nor the connection is lost. */
export function refusedStatement(error: unknown): unknown {
  if (error instanceof Error) REFUSED.add(error);
  return error;
}

/** Whether PostgreSQL refused a statement in a session that went on. It does not depend on the code, which a trigger may choose. */
export function isRefusedStatement(error: DatabaseError): boolean {
  return REFUSED.has(error);
}

/** Whether the code and the message are not PostgreSQL's, but from a RAISE in a trigger or function. */
export function isRaised({ cause }: DatabaseError): boolean {
  return (cause as Origin | undefined)?.routine === RAISE_ROUTINE;
}

/** The line of a COPY, from 1, that PostgreSQL refused; undefined where it names none. */
export function copyLineOf({ cause }: DatabaseError): number | undefined {
  return (cause as Origin | undefined)?.copyLine;
}

/** PostgreSQL's function that carries out RAISE. */
const RAISE_ROUTINE = 'exec_stmt_raise';

/** What a connection is to be closed with; undefined if it can be used again. */
export function connectionFailure(error: unknown): Error | undefined {
  if (error instanceof BrokenConnection) return error;
  if (error instanceof DatabaseError || !(error instanceof Error)) return undefined;
  // An error of the socket, which has no SQLSTATE, one that ended the session, or a server that only reads: the address may lead to
  // another one by now, and a pool would never notice.
  const sqlState = sqlStateOf(error);
  return sqlState === undefined || /^(57P|08|25006)/.test(sqlState) ? error : undefined;
}

// Classes whose messages speak of the server, roles and tables and never quote a value. Class 22 and 23 do.
const MESSAGES_WITHOUT_DATA = new Set(['08', '25', '28', '3D', '3F', '40', '42', '53', '54', '55', '57']);

/** Keeps the SQLSTATE; leaves out `detail`, `where` and, where it may quote a value, the message: then the code's own words stand there. */
export function asDatabaseError(error: unknown): unknown {
  const original = error instanceof BrokenConnection ? error.cause : error;
  if (!(original instanceof Error) || original instanceof CheckpointQueueError) return original;
  const sqlState = sqlStateOf(original);
  if (sqlState !== undefined) {
    const told =
      isServersOwn(original) && MESSAGES_WITHOUT_DATA.has(sqlState.slice(0, 2))
        ? original.message
        : lacksPartition(original)
          ? 'no partition takes the row'
          : conditionOf(sqlState);
    const named = namesIn(original);
    const place = Object.entries(named).map(([kind, name]) => `${kind} ${name}`);
    const message = `PostgreSQL error ${sqlState}${told === undefined ? '' : `: ${told}`}${place.length === 0 ? '' : ` (${place.join(', ')})`}`;
    const wrapped = new DatabaseError(message, sqlState, { cause: origin(original), ...named });
    return REFUSED.has(original) ? refusedStatement(wrapped) : wrapped;
  }
  const { code } = original as NodeJS.ErrnoException;
  if (code !== undefined || /connect|terminat|timeout|socket/i.test(original.message)) {
    const reason = `${code ?? original.message}${certificateHint(code)}`;
    return new DatabaseError(`PostgreSQL cannot be reached: ${reason}`, undefined);
  }
  return original;
}

/** Node's codes for a certificate that no authority it knows has signed. */
const UNKNOWN_AUTHORITY = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
]);

/** What to do where the server's certificate is the reason. */
function certificateHint(code: string | undefined): string {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return ': the certificate is for another host name; connect by the name in it';
  }
  if (code === undefined || !UNKNOWN_AUTHORITY.has(code)) return '';
  return (
    ': no known authority has signed the certificate. Name the certificate of its authority (sslrootcert=/path/ca.pem in the DSN, ssl.ca as option, ' +
    'NODE_EXTRA_CA_CERTS), or trust any server (sslmode=no-verify)'
  );
}

/**
 * A trigger or function may raise any code with any text, and its dynamic SQL may have a value where the server expects a name. Such an
 * error comes with a context in the server's language; the server's own contexts are that of a COPY and of a row it waits for.
 */
function isServersOwn(error: Error): boolean {
  const { routine, where } = error as pg.DatabaseError;
  return routine !== RAISE_ROUTINE && (!where || /^(COPY|while) .*$/.test(where));
}

/** What PostgreSQL itself names as the reason, all of it from its catalog: no value of a row, which RAISE could put there. */
function namesIn(error: Error): { constraint?: string; column?: string; table?: string } {
  if (!isServersOwn(error)) return {};
  const { constraint, column = copyColumnOf(error), table } = error as pg.DatabaseError;
  const given = { constraint, column, table };
  return Object.fromEntries(Object.entries(given).filter(([, name]) => name && PRINTABLE.test(name)));
}

/** The staging column whose value a COPY refused. */
function copyColumnOf(error: Error): string | undefined {
  return /^COPY \S+, line \d+, column (\w+)/.exec((error as pg.DatabaseError).where ?? '')?.[1];
}

/** A quoted name may hold anything, such as what moves a terminal's cursor. */
const PRINTABLE = /^[^\p{C}\p{Zl}\p{Zp}]+$/u;

function origin(error: Error): Origin {
  const { routine, where } = error as pg.DatabaseError;
  const copyLine = /^COPY \S+, line (\d+)/.exec(where ?? '')?.[1];
  return { ...(routine && { routine }), ...(copyLine && { copyLine: Number(copyLine) }) };
}
