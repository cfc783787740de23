import { setTimeout as delay } from 'node:timers/promises';
import { Cluster, Command, Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, onTestFailed } from 'vitest';
import { freePort } from '../../src/services/free-port.js';
import type { LocalServer } from '../../src/services/local-server.js';
import { startRedis } from '../../src/services/redis-server.js';

/** So soon a master that is silent is taken for dead, and its replica stands for election. */
const NODE_TIMEOUT_MS = 1000;
const SLOTS = 16_384;
const MASTERS = 3;
const POLL_MS = 20;
const HEAL_TIMEOUT_MS = 20_000;

/** A server of the cluster, and a connection of the test's own to it. */
export interface ClusterNode {
  readonly server: LocalServer;
  readonly client: Redis;
  readonly id: string;
  /** At which the nodes talk to each other. */
  readonly busPort: number;
}

/** What the keys of the tests' queues share. */
export const HASH_TAG = '{ckpt}';

/** Three masters, and a replica of the one that has the keys of the hash tag, as real servers of the test file's own. */
export class RedisClusterServers {
  private constructor(
    private readonly masters: readonly ClusterNode[],
    /** It has the queues. */
    public master: ClusterNode,
    public replica: ClusterNode,
  ) {}

  static async start(): Promise<RedisClusterServers> {
    const nodes = await Promise.all(Array.from({ length: MASTERS + 1 }, startNode));
    const replica = nodes.pop() as ClusterNode;
    const servers = new RedisClusterServers(nodes, ownerOf(HASH_TAG, nodes), replica);
    try {
      await servers.#form();
    } catch (error) {
      await servers.stop();
      throw error;
    }
    return servers;
  }

  get nodes(): readonly ClusterNode[] {
    return [...new Set([...this.masters, this.master, this.replica])];
  }

  get url(): string {
    return `redis-cluster://${this.masters.map(({ server }) => `127.0.0.1:${server.port}`).join(',')}`;
  }

  /** A client as an application has it. */
  client(): Cluster {
    return new Cluster(this.masters.map(({ server }) => ({ host: '127.0.0.1', port: server.port })));
  }

  /** Resolves when the replica is a master. */
  async promoted(): Promise<void> {
    while (!isMaster(await this.replica.client.info('replication'))) await delay(POLL_MS);
  }

  /** From now on, what the master acknowledges it has alone: its replica is suspended, and what is on the way to it is cut off. */
  async isolateMaster(): Promise<void> {
    await this.replica.server.kill('SIGSTOP');
    await this.master.client.call('CLIENT', 'KILL', 'TYPE', 'replica');
  }

  /** Brings back what was killed or suspended, after a failover as the replica of what is master now. */
  async heal(): Promise<void> {
    const pair = [this.master, this.replica] as const;
    for (const { server } of pair) {
      await server.kill('SIGCONT');
      if (server.pid === undefined) await server.restart();
    }
    for (;;) {
      const [first, second] = await Promise.all(pair.map(({ client }) => client.info('replication')));
      if (isMaster(first) && isLinked(second)) [this.master, this.replica] = pair;
      else if (isMaster(second) && isLinked(first)) [this.replica, this.master] = pair;
      else {
        await delay(POLL_MS);
        continue;
      }
      return this.#whole();
    }
  }

  /** What the nodes that answer say of all of them. */
  async describe(): Promise<string> {
    const alive = this.nodes.filter(({ server }) => server.pid !== undefined);
    const asked = alive.map(({ client, server }) =>
      Promise.race([client.cluster('NODES'), delay(1000, 'no answer')]).then(
        (nodes) => `at ${server.port}:\n${nodes}`,
      ),
    );
    return (await Promise.all(asked)).join('\n');
  }

  async stop(): Promise<void> {
    for (const { client } of this.nodes) client.disconnect();
    await Promise.all(this.nodes.map(({ server }) => server.stop()));
  }

  async #form(): Promise<void> {
    // Different from the start, so that none of them has to be settled by a collision.
    await Promise.all(
      this.nodes.map(({ client }, index) => client.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)),
    );
    for (const [index, { client }] of this.masters.entries()) {
      await client.call('CLUSTER', 'ADDSLOTSRANGE', firstSlot(index), firstSlot(index + 1) - 1);
    }
    // Each with each: to hear of one another takes seconds.
    for (const { client } of this.nodes) {
      for (const { server, busPort } of this.nodes) {
        await client.call('CLUSTER', 'MEET', '127.0.0.1', server.port, busPort);
      }
    }
    await this.#all(async ({ client }) => (await knownNodes(client)) === this.nodes.length);
    await this.replica.client.cluster('REPLICATE', this.master.id);
    await this.#all(async ({ client }) => /cluster_state:ok/.test((await client.cluster('INFO')) as string));
    while (!isLinked(await this.replica.client.info('replication'))) await delay(POLL_MS);
    await this.#whole();
  }

  /** Resolves when a client is told all of it, whomever it asks. */
  async #whole(): Promise<void> {
    await this.#all(async ({ client }) => {
      const slots = (await client.cluster('SLOTS')) as unknown[][];
      return slots.length === MASTERS && slots.some(([, , ...nodes]) => nodes.length === 2);
    });
  }

  async #all(holds: (node: ClusterNode) => Promise<boolean>): Promise<void> {
    for (const node of this.nodes) while (!(await holds(node))) await delay(POLL_MS);
  }
}

/** Servers of this test file's own, whole again after each test. Call it at the top level of the file. */
export function ownRedisCluster(): () => RedisClusterServers {
  let servers: RedisClusterServers | undefined;
  beforeAll(async () => {
    servers = await RedisClusterServers.start();
  });
  // A failover that did not come to its end looks like a client that does not find the new master.
  beforeEach(() => onTestFailed(async () => console.error(await servers?.describe())));
  afterEach(() => servers?.heal(), HEAL_TIMEOUT_MS);
  afterAll(() => servers?.stop());
  return () => {
    if (!servers) throw new Error('the servers are there from the first test to the last');
    return servers;
  };
}

async function startNode(): Promise<ClusterNode> {
  const busPort = await freePort();
  const server = await startRedis({
    args: [
      ...['--cluster-enabled', 'yes', '--cluster-node-timeout', String(NODE_TIMEOUT_MS)],
      // By default the port and 10,000 more, which may be none.
      ...['--cluster-port', String(busPort)],
      ...['--repl-diskless-sync-delay', '0'],
      // A replica is told to clients when something has been replicated to it.
      ...['--repl-ping-replica-period', '1'],
    ],
  });
  const client = new Redis({ host: '127.0.0.1', port: server.port, retryStrategy: () => 50 });
  client.on('error', () => {});
  return { server, client, id: (await client.cluster('MYID')) as string, busPort };
}

function ownerOf(key: string, masters: readonly ClusterNode[]): ClusterNode {
  const slot = new Command('get', [key]).getSlot();
  return masters[Math.floor((slot * MASTERS) / SLOTS)] as ClusterNode;
}

function firstSlot(index: number): number {
  return Math.ceil((index * SLOTS) / MASTERS);
}

async function knownNodes(client: Redis): Promise<number> {
  const nodes = (await client.cluster('NODES')) as string;
  return nodes.split('\n').filter((line) => line !== '' && !line.includes('handshake')).length;
}

/** By what `INFO replication` says. */
function isMaster(info = ''): boolean {
  return /role:master/.test(info);
}

function isLinked(info = ''): boolean {
  return /role:slave/.test(info) && /master_link_status:up/.test(info);
}
