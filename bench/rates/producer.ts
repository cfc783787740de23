import { saveSource } from '../saves.js';
import { generatedStates } from '../states.js';
import { openMethod } from './methods.js';
import { type PacedResult, pacedSaves } from './paced-saves.js';
import type { FromProducer, ProducerOrder, ToProducer } from './producer-protocol.js';
import { Schedule } from './schedule.js';

/** Entry of a producer process, which saves on a schedule. The order is its argument. It ends with the benchmark. */
const order: ProducerOrder = JSON.parse(process.argv[2] as string);
const method = openMethod(order.method, order.address);
const schedule = new Schedule(order.perSecond, order.producers, order.producer);
// Executions of its own, as each agent has.
const executions = Array.from({ length: 64 }, (_, index) => `execution-${order.producer}-${index}`);
const next = saveSource(generatedStates(order.stateBytes), executions);
let result: PacedResult | undefined;

function tell(message: FromProducer): void {
  process.send?.(message, () => {});
}

async function obey(message: ToProducer): Promise<void> {
  if (message.type === 'run') {
    const { startAt, windowMs } = message;
    const { maxInFlight } = order;
    const save = () => method.save(next());
    result = await pacedSaves({ schedule, windowMs, startAt, maxInFlight, save });
    const { latencies, ...summary } = result;
    tell({ type: 'finished', summary: { ...summary, acknowledged: latencies.length } });
  } else if (message.type === 'latencies') {
    tell({ type: 'latencies', latencies: result?.latencies ?? [] });
  } else {
    await method.close();
    process.exit(0);
  }
}

process.on('message', (message: ToProducer) => {
  obey(message).catch((error) => {
    console.error(`producer: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  });
});
process.on('disconnect', () => process.exit(1));
tell({ type: 'ready' });
