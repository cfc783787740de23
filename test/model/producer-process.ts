import { type Checkpoint, QueuedCheckpointStore, type SaveReceipt } from '../../src/index.js';
import type { Content } from './history.js';

/** What a producer process is asked over IPC; `number` comes back with the reply. */
export type Request = { readonly number: number } & Command;

export type Command =
  | { type: 'open'; options: ConstructorParameters<typeof QueuedCheckpointStore>[0] }
  | { type: 'save'; checkpoint: Content; padding: number }
  | { type: 'outcome'; token: string }
  | { type: 'forget' }
  | { type: 'delete' | 'clear'; key: string }
  | { type: 'load' | 'latest' | 'list'; key: string; executionId: string };

export type Reply = { readonly number: number } & ({ value: unknown } | { error: string });

/** A producer: executes what it is asked, at once and in the order in which it is asked, and tells how it ended. */
let store: QueuedCheckpointStore | undefined;
const receipts = new Map<string, SaveReceipt>();
const LATEST = { consistency: 'latest' } as const;

async function execute(command: Command): Promise<unknown> {
  if (command.type === 'open') {
    await store?.close();
    store = new QueuedCheckpointStore(command.options);
    return store.initSchema();
  }
  if (!store) throw new Error('not open');
  switch (command.type) {
    case 'save': {
      const { token, timestamp, ...checkpoint } = command.checkpoint;
      const state = { token, padding: ' '.repeat(command.padding) };
      const receipt = await store.save({
        ...checkpoint,
        nodeName: 'node',
        state,
        timestamp: new Date(timestamp),
      });
      receipts.set(token, receipt);
      return receipt.sequence;
    }
    case 'outcome': {
      const receipt = receipts.get(command.token);
      if (!receipt) throw new Error('no receipt');
      return receipt.committed();
    }
    case 'forget':
      return receipts.clear();
    case 'delete':
      return store.delete(command.key);
    case 'clear':
      return store.clear(command.key);
    case 'load':
      return store.load(command.key, { ...LATEST, executionId: command.executionId }).then(
        (checkpoint) => [contentOf(checkpoint)],
        (error: { code?: string }) => {
          if (error.code === 'CHECKPOINT_NOT_FOUND') return [];
          throw error;
        },
      );
    case 'latest': {
      const checkpoint = await store.latest(command.key, LATEST);
      return checkpoint ? [contentOf(checkpoint)] : [];
    }
    case 'list':
      return (await store.list(command.key, LATEST)).map(contentOf);
  }
}

function contentOf({ id, executionId, version, timestamp, state }: Checkpoint): Content {
  const { token } = state as { token: string };
  return { token, id, executionId, version, timestamp: timestamp.getTime() };
}

process.on('message', ({ number, ...command }: Request) => {
  void execute(command as Command)
    .then(
      (value) => ({ number, value: value ?? null }),
      (error: { code?: string; message: string }) => ({ number, error: error.code ?? error.message }),
    )
    .then((reply: Reply) => process.send?.(reply));
});
// However the test process ends, this one ends with it.
process.on('disconnect', () => process.exit());
