import type { Cluster, Redis } from 'ioredis';

/**
 * A Lua script, sent whole: its digest alone, which Redis may not know, would need a second try behind commands that were sent
 * later, and scripts that number what they are sent must be run in the order of the calls. Redis compiles it once.
 */
export class Script {
  constructor(private readonly text: string) {}

  run(client: Redis | Cluster, keys: string[], values: Array<string | number | Buffer>): Promise<unknown> {
    return client.eval(this.text, keys.length, ...keys, ...values);
  }
}
