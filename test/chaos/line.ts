import { FaultyProxy } from '../faults/faulty-proxy.js';

/** How one process reaches its servers: through proxies of its own. */
export class Line {
  private constructor(
    readonly name: string,
    readonly redis: FaultyProxy,
    readonly postgres: FaultyProxy,
  ) {}

  static async start(name: string, servers: { redis: string; postgres: string }): Promise<Line> {
    const redis = await FaultyProxy.start(servers.redis);
    return new Line(name, redis, await FaultyProxy.start(servers.postgres));
  }

  async end(): Promise<void> {
    await Promise.all([this.redis.refuse(), this.postgres.refuse()]);
  }
}
