import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { QueuedPostgresSaverOptions } from '../../src/langgraph/index.js';
import { forkGuarded, kill } from '../guarded-child.js';
import type { Place } from '../store/place.js';
import type { Agent, Call } from './graph-agent.js';
import type { AgentReply, AgentRequest } from './graph-process.js';

const PROGRAM = fileURLToPath(new URL('./graph-process.ts', import.meta.url));

/** An error that an agent in another process met. */
export class RemoteFailure extends Error {
  constructor(
    readonly code: string | undefined,
    message: string,
  ) {
    super(message);
  }
}

/** An agent in a process of its own, with a `QueuedPostgresSaver` of its own. Whoever starts it closes it. */
export class RemoteAgent implements Agent {
  readonly #child: ChildProcess;
  readonly #replies = new Map<number, (reply: AgentReply) => void>();
  #numbers = 0;
  #output = '';

  constructor(
    name: string,
    { redis, postgres, schema, queue }: Place,
    options: Partial<QueuedPostgresSaverOptions> = {},
  ) {
    const all = JSON.stringify({ redis, postgres, schema, queue, ...options });
    this.#child = forkGuarded(PROGRAM, [name, all], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
      });
    }
    this.#child.on('message', (message) => {
      const reply = message as AgentReply;
      this.#replies.get(reply.number)?.(reply);
    });
    this.#child.on('error', () => {}); // it could not be told something: its end says so
    this.#child.once('close', () => {
      const failure = { message: `the agent ended: ${this.#output}` };
      for (const [number, settle] of this.#replies) settle({ number, failure });
    });
  }

  async call<T>(call: Call): Promise<T> {
    const number = ++this.#numbers;
    const reply = await new Promise<AgentReply>((resolve) => {
      this.#replies.set(number, resolve);
      const gone = () => resolve({ number, failure: { message: `the agent is gone: ${this.#output}` } });
      if (!this.#child.connected) gone();
      else this.#child.send({ number, call } satisfies AgentRequest, (error) => error && gone());
    });
    this.#replies.delete(number);
    if ('failure' in reply) throw new RemoteFailure(reply.failure.code, reply.failure.message);
    return reply.value as T;
  }

  /** Ends it. Idempotent. */
  close(): Promise<void> {
    return kill(this.#child);
  }
}
