/**
 * An agent that survives kill -9: `npm run example:agent-loop`.
 *
 * That starts the agent as a process of its own, kills it in the middle, and starts it again until it is done. Uses REDIS_URL
 * and DATABASE_URL if they are set, else brings up both and removes them at the end.
 *
 * The agent alone is `npx tsx examples/agent-loop.ts agent RUN`, with REDIS_URL and DATABASE_URL set and a worker running
 * (`CKPT_QUEUE=agent-loop CKPT_SCHEMA=agent_loop ckpt worker`): kill it whenever you like, and start it again with the same RUN.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { CheckpointRecorder, CheckpointWriter, QueuedCheckpointStore } from '../src/index.js';
import { startLocalServices } from '../src/services/local-services.js';

const PROGRAM = fileURLToPath(import.meta.url);
const STEPS = 20;
const THINKING_MS = 30;
const ACTING_MS = 30;

const AgentState = z.object({
  /** The last step whose action was taken. */
  done: z.number(),
  /** What to do next, when that is decided. */
  thought: z.string().optional(),
  notes: z.array(z.string()),
});
type AgentState = z.infer<typeof AgentState>;

interface Connections {
  readonly redis: string;
  readonly postgres: string;
  readonly queue: string;
  readonly schema: string;
}

async function agent(executionId: string, connections: Connections): Promise<void> {
  const store = new QueuedCheckpointStore(connections);
  const recorder = new CheckpointRecorder({
    store,
    executionId,
    maxCheckpoints: 5,
    schema: AgentState,
    onError: (error, { action }) => console.error(`${action} failed in the background: ${error.message}`),
  });

  const resumed = await recorder.resume();
  let state: AgentState = resumed?.state ?? { done: 0, notes: [] };
  console.log(resumed ? `resume after ${resumed.nodeName}, step ${state.done} is done` : 'start');

  while (state.done < STEPS) {
    const step = state.done + 1;
    const thought = state.thought ?? (await think(step));
    state = { ...state, thought };
    // A thought may be thought twice: saved in the background, nothing waits.
    recorder.afterNode('think', state);

    const note = await act(step, thought);
    state = { done: step, notes: [...state.notes, note] };
    // An action must not be taken twice: the next one begins when this one is acknowledged.
    await recorder.save('act', state);
    console.log(`acknowledged step ${step}`);
  }
  console.log(`finished with ${state.notes.length} notes`);
  await recorder.close();
  await store.close();
}

async function think(step: number): Promise<string> {
  await delay(THINKING_MS); // a language model would be asked here
  return `what to do in step ${step}`;
}

async function act(step: number, thought: string): Promise<string> {
  await delay(ACTING_MS); // a tool would be called here
  console.log(`ran step ${step}`);
  return `did ${thought}`;
}

async function killAndRestart(): Promise<void> {
  const services = await startLocalServices({ onProgress: (message) => console.error(message) });
  const connections = connectionsOf({ REDIS_URL: services.redisUrl, DATABASE_URL: services.databaseUrl });
  const writer = new CheckpointWriter(connections); // in production: `ckpt worker`, as many as you like
  await writer.start();
  const executionId = `agent-${Date.now()}`;
  try {
    await runAgent(executionId, connections, 5 + Math.floor(Math.random() * 10));
    await runAgent(executionId, connections);

    const store = new QueuedCheckpointStore(connections);
    const recorder = new CheckpointRecorder({ store, executionId });
    const kept = await recorder.list();
    console.log(`kept the newest ${kept.length} checkpoints, versions ${kept.map(({ version }) => version)}`);
    await recorder.clear();
    await recorder.close();
    await store.close();
  } finally {
    await writer.close();
    await services.stop();
  }
}

/** Starts the agent, and kills it right after it has run a step, if one is given. */
async function runAgent(executionId: string, connections: Connections, killAt?: number): Promise<void> {
  const { redis, postgres, queue, schema } = connections;
  const child = spawn(process.execPath, [...process.execArgv, PROGRAM, 'agent', executionId], {
    env: { ...process.env, REDIS_URL: redis, DATABASE_URL: postgres, CKPT_QUEUE: queue, CKPT_SCHEMA: schema },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  for await (const line of createInterface({ input: child.stdout })) {
    console.log(`agent ${child.pid}: ${line}`);
    if (line === `ran step ${killAt}`) child.kill('SIGKILL');
  }
  const [code, signal] = await closed;
  if (signal) console.log(`agent ${child.pid} was killed (${signal})`);
  else if (code !== 0) throw new Error(`the agent ended with exit code ${code}`);
}

/** The settings of the agent; queue and schema are of this example alone unless they are set. */
function connectionsOf(given: NodeJS.ProcessEnv = {}): Connections {
  const env: NodeJS.ProcessEnv = { ...process.env, ...given };
  const { REDIS_URL, DATABASE_URL, CKPT_QUEUE, CKPT_SCHEMA } = env;
  if (!REDIS_URL || !DATABASE_URL) throw new Error('REDIS_URL and DATABASE_URL are needed');
  return {
    redis: REDIS_URL,
    postgres: DATABASE_URL,
    queue: CKPT_QUEUE ?? 'agent-loop',
    schema: CKPT_SCHEMA ?? 'agent_loop',
  };
}

const [role, executionId = 'agent-loop'] = process.argv.slice(2);
if (role === 'agent') await agent(executionId, connectionsOf());
else await killAndRestart();
