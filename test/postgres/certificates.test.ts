import { expect, it } from 'vitest';
import { asDatabaseError } from '../../src/postgres/database-errors.js';

/** As Node's TLS rejects a server: a message and a code. */
function rejected(code: string): Error {
  return Object.assign(new Error('the certificate is not accepted'), { code });
}

it.each([
  ['DEPTH_ZERO_SELF_SIGNED_CERT', /sslrootcert=.*NODE_EXTRA_CA_CERTS.*sslmode=no-verify/],
  ['SELF_SIGNED_CERT_IN_CHAIN', /sslrootcert=/],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /sslrootcert=/],
  ['ERR_TLS_CERT_ALTNAME_INVALID', /connect by the name in it/],
])('a certificate that is refused with %s comes with what to do', (code, hint) => {
  const error = asDatabaseError(rejected(code)) as Error;
  expect(error).toMatchObject({ code: 'DATABASE', message: expect.stringContaining(code) });
  expect(error.message).toMatch(hint);
});

it('an address where nobody listens comes with no word of certificates', () => {
  expect((asDatabaseError(rejected('ECONNREFUSED')) as Error).message).toBe(
    'PostgreSQL cannot be reached: ECONNREFUSED',
  );
});
