import { CheckpointQueueError } from '../errors.js';

/** The worker, or the dashboard, cannot listen at this address. It did not start. */
export class HttpListenError extends CheckpointQueueError {
  constructor(
    readonly host: string,
    readonly port: number,
    /** Node's code: `EADDRINUSE` where another program has the port. */
    reason: string,
    /** What the address comes from. */
    settings = 'CKPT_HTTP_HOST, CKPT_HTTP_PORT',
  ) {
    const problem = reason === 'EADDRINUSE' ? 'another program has this port' : reason;
    super('HTTP_LISTEN', `Cannot listen at ${host}, port ${port}: ${problem} (${settings})`);
  }
}
