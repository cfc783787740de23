import type { TcpNetConnectOpts } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { checkOptions, type KnownKeys } from './known-keys.js';

/** What `tls.connect` takes, and through it `net.connect`, as far as Node's types know. */
const OPTIONS = {
  ALPNCallback: true,
  ALPNProtocols: true,
  SNICallback: true,
  allowHalfOpen: true,
  allowPartialTrustChain: true,
  autoSelectFamily: true,
  autoSelectFamilyAttemptTimeout: true,
  ca: true,
  cert: true,
  checkServerIdentity: true,
  ciphers: true,
  clientCertEngine: true,
  crl: true,
  dhparam: true,
  ecdhCurve: true,
  enableTrace: true,
  family: true,
  fd: true,
  hints: true,
  honorCipherOrder: true,
  host: true,
  keepAlive: true,
  keepAliveInitialDelay: true,
  key: true,
  localAddress: true,
  localPort: true,
  lookup: true,
  maxVersion: true,
  minDHSize: true,
  minVersion: true,
  noDelay: true,
  onread: true,
  passphrase: true,
  path: true,
  pfx: true,
  port: true,
  privateKeyEngine: true,
  privateKeyIdentifier: true,
  pskCallback: true,
  readable: true,
  rejectUnauthorized: true,
  requestCert: true,
  secureContext: true,
  secureOptions: true,
  secureProtocol: true,
  servername: true,
  session: true,
  sessionIdContext: true,
  sessionTimeout: true,
  sigalgs: true,
  signal: true,
  socket: true,
  ticketKeys: true,
  timeout: true,
  writable: true,
} satisfies KnownKeys<ConnectionOptions & TcpNetConnectOpts>;
const NOT_IN_TYPES = { requestOCSP: true } as const;

/**
 * Checks the names of TLS options; what is no object, such as `true`, is left to the client.
 * @param others what the client itself takes beside them
 * @throws InvalidConfigError naming the option
 */
export function checkTlsOptions(
  tls: unknown,
  within: string,
  others: Readonly<Record<string, true>> = {},
): void {
  if (typeof tls !== 'object' || tls === null) return;
  checkOptions(tls, { ...OPTIONS, ...NOT_IN_TYPES, ...others }, 'tls.connect', { within });
}
