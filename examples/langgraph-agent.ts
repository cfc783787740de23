/**
 * A LangGraph.js agent that asks a person before it acts: `npm run example:langgraph`.
 *
 * One process runs the graph until it has to ask, and ends. Another one, later, resumes it with the answer. Both have nothing in
 * common but Redis and PostgreSQL; a worker, a third process, commits what they put. No model, no network.
 * Uses REDIS_URL and DATABASE_URL if they are set, else brings up both and removes them at the end.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import {
  Annotation,
  Command,
  END,
  INTERRUPT,
  interrupt,
  isInterrupted,
  START,
  StateGraph,
} from '@langchain/langgraph';
import { QueuedPostgresSaver } from '../src/langgraph/index.js';
import { startLocalServices } from '../src/services/local-services.js';

const QUEUE = 'langgraph-example';
const SCHEMA = 'langgraph_example';
const ORDERS: Record<string, { item: string; paid: number }> = { 'A-17': { item: 'kettle', paid: 40 } };

const State = Annotation.Root({
  orderId: Annotation<string>,
  order: Annotation<{ item: string; paid: number }>,
  approvedBy: Annotation<string | undefined>,
  messages: Annotation<string[]>({ reducer: (all, more) => [...all, ...more], default: () => [] }),
});

const graph = new StateGraph(State)
  .addNode('plan', ({ orderId }) => ({ messages: [`plan: look up order ${orderId}, then refund it`] }))
  .addNode('tools', ({ orderId }) => {
    const order = ORDERS[orderId] as { item: string; paid: number };
    return { order, messages: [`tool find_order: ${order.item}, paid ${order.paid}`] };
  })
  .addNode('approval', ({ order }) => {
    // Ends the run here; on the second time, when it is resumed, it gives the answer.
    const answer = interrupt<string, { by: string; approved: boolean }>(
      `Refund ${order.paid} for the ${order.item}?`,
    );
    const said = answer.approved ? 'approved' : 'refused';
    return { approvedBy: answer.approved ? answer.by : undefined, messages: [`${answer.by} ${said} it`] };
  })
  .addNode('refund', ({ order }) => ({ messages: [`tool refund: paid ${order.paid} back`] }))
  .addNode('answer', ({ approvedBy }) => ({
    messages: [approvedBy ? 'done: refunded' : 'done: not refunded'],
  }))
  .addEdge(START, 'plan')
  .addEdge('plan', 'tools')
  .addEdge('tools', 'approval')
  .addConditionalEdges('approval', ({ approvedBy }) => (approvedBy ? 'refund' : 'answer'), [
    'refund',
    'answer',
  ])
  .addEdge('refund', 'answer')
  .addEdge('answer', END);

type Agent = ReturnType<typeof graph.compile>;
const say = (text: string) => console.log(`[process ${process.pid}] ${text}`);

/** The first process: runs until a person has to be asked. */
async function ask(agent: Agent, thread: object): Promise<void> {
  const state = await agent.invoke({ orderId: 'A-17' }, { configurable: thread });
  for (const message of state.messages) say(message);
  if (!isInterrupted<string>(state)) throw new Error('nothing was asked');
  say(`asks: ${state[INTERRUPT][0]?.value} And ends; Redis holds all of it.`);
}

/** The second one: sees all that was put before it began, committed or not, and goes on. */
async function resume(agent: Agent, thread: object, saver: QueuedPostgresSaver): Promise<void> {
  const before = await agent.getState({ configurable: thread });
  const [question] = before.tasks[0]?.interrupts ?? [];
  say(`finds it waiting at ${before.next}: ${question?.value}`);
  const answer = { by: 'Ada', approved: true };
  const state = await agent.invoke(new Command({ resume: answer }), { configurable: thread });
  for (const message of state.messages.slice(before.values.messages.length)) say(message);

  await saver.flush();
  let checkpoints = 0;
  for await (const _ of agent.getStateHistory({ configurable: thread })) checkpoints++;
  say(`${checkpoints} checkpoints are in PostgreSQL`);
}

/** Starts services, worker and the two processes, one after the other. */
async function main(): Promise<void> {
  const services = await startLocalServices({ onProgress: (message) => console.error(message) });
  const env = { ...process.env, REDIS_URL: services.redisUrl, DATABASE_URL: services.databaseUrl };
  const worker = fork(fileURLToPath(new URL('../src/cli/main.ts', import.meta.url)), ['worker'], {
    env: {
      ...env,
      CKPT_QUEUE: QUEUE,
      CKPT_LANGGRAPH_SCHEMA: SCHEMA,
      // The worker's own table, for plain stores, which this example has not.
      CKPT_SCHEMA: SCHEMA,
      CKPT_TABLE: 'store_checkpoints',
      CKPT_LOG_LEVEL: 'warn',
    },
  });
  try {
    const threadId = `order-A-17-${Date.now()}`;
    for (const step of ['ask', 'resume']) {
      const child = fork(fileURLToPath(import.meta.url), [step, threadId], { env });
      const [code] = await once(child, 'exit');
      if (code !== 0) throw new Error(`the process that was to ${step} ended with exit code ${code}`);
    }
  } finally {
    worker.kill('SIGTERM');
    await once(worker, 'exit');
    await services.stop();
  }
}

const [step, threadId] = process.argv.slice(2);
if (step === undefined) {
  await main();
} else {
  const saver = new QueuedPostgresSaver({
    redis: process.env.REDIS_URL as string,
    postgres: process.env.DATABASE_URL as string,
    queue: QUEUE,
    schema: SCHEMA,
    readTimeoutMs: 60_000, // the worker may still be starting
  });
  const agent = graph.compile({ checkpointer: saver });
  const thread = { thread_id: threadId };
  if (step === 'ask') await ask(agent, thread);
  else await resume(agent, thread, saver);
  if (step === 'resume') await saver.deleteThread(threadId as string);
  await saver.end();
}
