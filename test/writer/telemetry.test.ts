import { AsyncLocalStorage } from 'node:async_hooks';
import { emptyCheckpoint } from '@langchain/langgraph-checkpoint';
import {
  type Context,
  type ContextManager,
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  type TextMapPropagator,
  TraceFlags,
  trace,
} from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadTelemetry } from '../../workers/telemetry.js';
import { newCheckpoint } from '../contract/checkpoints.js';
import { testSaver } from '../langgraph/place.js';
import { type Place, startWriter, testPlace, testStore } from '../store/place.js';

/** What an application's OpenTelemetry SDK does: the context follows the calls. */
class FollowingContext implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: Context,
    work: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(active, () => work.apply(thisArg, args));
  }

  bind<T>(_: Context, target: T): T {
    return target;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    return this;
  }
}

/** As W3C has it: the trace and the span in a header. */
const TRACEPARENT: TextMapPropagator<Record<string, string>> = {
  inject(active, carrier) {
    const { traceId, spanId } = trace.getSpanContext(active) ?? {};
    if (traceId) carrier.traceparent = `00-${traceId}-${spanId}-01`;
  },
  extract(active, { traceparent = '' }) {
    const [, traceId, spanId] = traceparent.split('-');
    if (!traceId || !spanId) return active;
    return trace.setSpanContext(active, { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true });
  },
  fields: () => ['traceparent'],
};

const exporter = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });

beforeAll(() => {
  context.setGlobalContextManager(new FollowingContext());
  trace.setGlobalTracerProvider(provider);
  propagation.setGlobalPropagator(TRACEPARENT);
});
beforeEach(() => exporter.reset());
afterAll(async () => {
  await provider.shutdown();
  trace.disable();
  propagation.disable();
  context.disable();
});

describe('a pipeline with telemetry', () => {
  it('has save and commit in one trace, below the span of whoever saved', async () => {
    const place = await testPlace();
    const telemetry = await loadTelemetry();
    const store = testStore(place, { telemetry });
    await startWriter(place, { telemetry });
    const step = await inSpan('step of the agent', () => store.save(newCheckpoint(), { ack: 'committed' }));

    const { producer, consumer } = await spansOfPipeline();
    expect(producer.spanContext().traceId).toBe(step.traceId);
    expect(producer.parentSpanContext?.spanId).toBe(step.spanId);
    expect(consumer.spanContext().traceId).toBe(step.traceId);
    expect(consumer.parentSpanContext?.spanId).toBe(producer.spanContext().spanId);
  });

  it('has the commit within the span of the consumer', async () => {
    const place = await testPlace();
    const telemetry = await loadTelemetry();
    const store = testStore(place, { telemetry });
    const writer = await startWriter(place, { telemetry });
    const committed = new Promise<number>((resolve) => writer.once('batch', () => resolve(Date.now())));
    await store.save(newCheckpoint(), { ack: 'committed' });
    const { consumer } = await spansOfPipeline();
    const [began, ended] = [milliseconds(consumer.startTime), milliseconds(consumer.endTime)];
    expect(await committed).toBeGreaterThanOrEqual(Math.floor(began));
    expect(await committed).toBeLessThanOrEqual(Math.ceil(ended));
  });

  it('gives each save of a quick succession that leaves alone the trace of its own', async () => {
    const place = await testPlace();
    const telemetry = await loadTelemetry();
    // One save a chunk, more of them than are sent at once: the later ones are sent when an earlier one has been.
    const store = testStore(place, { telemetry, maxChunkRecords: 1 });
    const steps = await Promise.all(
      Array.from({ length: 12 }, (_, n) => inSpan(`step ${n}`, () => store.save(newCheckpoint()))),
    );
    const parents = exporter
      .getFinishedSpans()
      .filter(({ kind }) => kind === SpanKind.PRODUCER)
      .map(({ parentSpanContext }) => parentSpanContext?.spanId);
    expect(parents.sort()).toEqual(steps.map(({ spanId }) => spanId).sort());
  });

  it('puts what a LangGraph checkpointer saves into the trace of its step', async () => {
    const place = await testPlace();
    const saver = testSaver(place, { telemetry: await loadTelemetry(), writer: true });
    const thread = { configurable: { thread_id: 'thread', checkpoint_ns: '' } };
    const metadata = { source: 'input', step: -1, parents: {} } as const;
    const step = await inSpan('step of the graph', () => saver.put(thread, emptyCheckpoint(), metadata, {}));
    const { producer, consumer } = await spansOfPipeline();
    expect(producer.parentSpanContext?.spanId).toBe(step.spanId);
    expect(consumer.spanContext().traceId).toBe(step.traceId);
  });

  it('tells no trace anything of a checkpoint', async () => {
    const place = await testPlace();
    const telemetry = await loadTelemetry();
    const store = testStore(place, { telemetry });
    await startWriter(place, { telemetry });
    await refuseEverything(place);
    const canary = 'canary-4711';
    const saving = store.save(
      newCheckpoint({
        id: canary,
        executionId: canary,
        nodeName: canary,
        state: canary,
        metadata: { canary },
      }),
      { ack: 'committed' },
    );
    await saving.catch(() => {});
    await spansOfPipeline();
    const told = exporter
      .getFinishedSpans()
      .map(({ name, attributes, events, status }) => ({ name, attributes, events, status }));
    expect(told.length).toBeGreaterThanOrEqual(2);
    expect(JSON.stringify(told)).not.toContain(canary);
  });
});

it('a pipeline without telemetry traces nothing', async () => {
  const place = await testPlace();
  await startWriter(place);
  await inSpan('step of the agent', () => testStore(place).save(newCheckpoint(), { ack: 'committed' }));
  expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(['step of the agent']);
});

async function inSpan(
  name: string,
  work: () => Promise<unknown>,
): Promise<{ traceId: string; spanId: string }> {
  return trace.getTracer('test').startActiveSpan(name, async (span) => {
    await work();
    span.end();
    return span.spanContext();
  });
}

/** The span of the chunk's job at its producer, and the one of the worker that had it. */
async function spansOfPipeline(): Promise<{ producer: ReadableSpan; consumer: ReadableSpan }> {
  return vi.waitFor(() => {
    const spans = exporter.getFinishedSpans();
    const producer = spans.find(({ kind }) => kind === SpanKind.PRODUCER);
    const consumer = spans.find(
      ({ kind, parentSpanContext }) =>
        kind === SpanKind.CONSUMER && parentSpanContext?.spanId === producer?.spanContext().spanId,
    );
    if (!producer || !consumer) throw new Error('not yet');
    return { producer, consumer };
  });
}

function milliseconds([seconds, nanoseconds]: [number, number]): number {
  return seconds * 1000 + nanoseconds / 1e6;
}

async function refuseEverything({ pool, schema }: Place): Promise<void> {
  await pool.query(`ALTER TABLE ${schema}.checkpoints ADD CONSTRAINT nothing CHECK (version > 1)`);
}
