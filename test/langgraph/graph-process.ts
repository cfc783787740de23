import type { QueuedPostgresSaverOptions } from '../../src/langgraph/index.js';
import { QueuedPostgresSaver } from '../../src/langgraph/index.js';
import { type Call, GraphAgent } from './graph-agent.js';

export interface AgentRequest {
  readonly number: number;
  readonly call: Call;
}

export type AgentReply = { readonly number: number } & (
  | { readonly value: unknown }
  | { readonly failure: { readonly code?: string | undefined; readonly message: string } }
);

/** An agent in a process of its own. Its arguments are its name and the options of its saver, as JSON. */
const [, , name, options] = process.argv as [string, string, string, string];
const agent = new GraphAgent(
  name,
  new QueuedPostgresSaver(JSON.parse(options) as QueuedPostgresSaverOptions),
);

process.on('message', ({ number, call }: AgentRequest) => {
  void agent
    .call(call)
    .then(
      (value) => ({ value }),
      ({ code, message }) => ({ failure: { code, message: String(message) } }),
    )
    .then((outcome) => process.send?.({ number, ...outcome } satisfies AgentReply));
});
// However the one that started it ends, this one ends with it.
process.on('disconnect', () => process.exit());
