import { onTestFinished } from 'vitest';
import { FaultyProxy } from './faulty-proxy.js';

/** A proxy that goes with the test. */
export class TcpProxy extends FaultyProxy {
  /** @param target URL of the server */
  static async before(target: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await proxy.open();
    onTestFinished(() => proxy.refuse());
    return proxy;
  }
}
