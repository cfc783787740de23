import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { withPipelineStore } from '../pipeline.js';
import type { Address } from '../place.js';
import { SAVES_IN_FLIGHT } from '../plan.js';
import { checkpointOf, saveSource } from '../saves.js';
import { generatedStates } from '../states.js';
import type { Sample } from './series.js';

interface Order {
  readonly address: Address;
  readonly saves: number;
  readonly stateBytes: number;
}

type FromProducer =
  | { type: 'sample'; sample: Sample }
  | { type: 'done' }
  | { type: 'failed'; reason: string };

const SAMPLE_MS = 100;

/**
 * Fills the queue from a process of its own, whose memory is that of a producer and nothing else. Resolves when all is
 * acknowledged and the process has ended.
 * @param program this file, compiled
 */
export async function fillQueue(
  program: string,
  order: Order,
  onSample: (sample: Sample) => void,
  signal: AbortSignal,
): Promise<void> {
  const child: ChildProcess = fork(program, [JSON.stringify(order)], {
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true,
  });
  const ended = once(child, 'exit');
  let outcome: FromProducer | undefined;
  child.on('message', (message: FromProducer) => {
    if (message.type === 'sample') onSample(message.sample);
    else outcome = message;
  });
  const abort = () => child.kill('SIGKILL');
  signal.addEventListener('abort', abort);
  try {
    await ended;
  } finally {
    signal.removeEventListener('abort', abort);
  }
  signal.throwIfAborted();
  if (outcome?.type !== 'done') {
    throw new Error(`producer: ${outcome?.type === 'failed' ? outcome.reason : 'it ended'}`);
  }
}

async function produce({ address, saves, stateBytes }: Order): Promise<void> {
  let begun = 0;
  let acknowledged = 0;
  const next = saveSource(generatedStates(stateBytes));
  await withPipelineStore(address, async (store) => {
    const sampling = setInterval(() => sample(acknowledged), SAMPLE_MS);
    sample(0);
    const saver = async () => {
      while (begun < saves) {
        begun++;
        await store.save(checkpointOf(next()));
        acknowledged++;
      }
    };
    await Promise.all(Array.from({ length: SAVES_IN_FLIGHT }, saver));
    clearInterval(sampling);
    sample(acknowledged);
  });
}

function sample(done: number): void {
  tell({ type: 'sample', sample: { at: Date.now(), done, rss: process.memoryUsage.rss() } });
}

function tell(message: FromProducer): void {
  process.send?.(message, () => {});
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.on('disconnect', () => process.exit(1));
  try {
    await produce(JSON.parse(process.argv[2] as string));
    tell({ type: 'done' });
  } catch (error) {
    tell({ type: 'failed', reason: error instanceof Error ? error.message : String(error) });
  }
  // What was told is sent when the channel is closed by us.
  await delay(0);
  process.removeAllListeners('disconnect');
  process.disconnect();
}
