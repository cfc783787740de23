import { QueuedCheckpointStore, type QueuedCheckpointStoreOptions } from '../../src/index.js';

/** The methods of a store that a producer process offers; `saveCommitted` is a save with `ack: 'committed'`. */
export type Method = 'save' | 'saveCommitted' | 'load' | 'latest' | 'list' | 'delete' | 'clear';

/** `number` comes back with the reply. */
export interface Request {
  readonly number: number;
  readonly method: Method;
  readonly args: readonly unknown[];
}

export interface RemoteFailure {
  /** Of an error of ours; undefined: a surprise. */
  readonly code?: string | undefined;
  readonly message: string;
}

export type Reply = { readonly number: number } & ({ value: unknown } | { failure: RemoteFailure });

/** A producer: calls the methods of a store of its own, in the order in which it is asked. Its only argument are the options. */
const store = new QueuedCheckpointStore(
  JSON.parse(process.argv[2] as string) as QueuedCheckpointStoreOptions,
);

async function call({ method, args }: Request): Promise<unknown> {
  if (method === 'save' || method === 'saveCommitted') {
    const ack = method === 'save' ? 'queued' : 'committed';
    const { id, sequence } = await store.save(args[0] as Parameters<typeof store.save>[0], { ack });
    return { id, sequence };
  }
  return (store[method] as (...all: readonly unknown[]) => Promise<unknown>)(...args);
}

function failureOf(error: unknown): RemoteFailure {
  const { code, message } = error as { code?: string; message?: string };
  return { code, message: message ?? String(error) };
}

process.on('message', (request: Request) => {
  void call(request)
    .then(
      (value) => ({ value }),
      (error) => ({ failure: failureOf(error) }),
    )
    .then((outcome) => process.send?.({ number: request.number, ...outcome } satisfies Reply));
});
// It takes calls from now on: starting takes seconds on a busy machine, and is no part of a call.
process.send?.({ number: 0, value: null } satisfies Reply);
// However the one that started it ends, this one ends with it.
process.on('disconnect', () => process.exit());
