import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { type ConnectedConfig, loadConfig, withServices } from '../src/config.js';
import { assertProtected } from '../src/dashboard/access.js';
import type { DashboardConfig } from '../src/dashboard/dashboard.js';
import { CheckpointQueueError, InvalidConfigError } from '../src/errors.js';
import { pickKnown } from '../src/known-keys.js';
import { langGraphSink } from '../src/langgraph/graph-sink.js';
import type { Logger } from '../src/logger.js';
import { retentionOfEnvironment } from '../src/retention/retention-options.js';
import { ESCAPED_LOG, escapeControls } from '../src/terminal-text.js';
import type { WriterStats } from '../src/writer/batch-committer.js';
import { CheckpointWriter } from '../src/writer/checkpoint-writer.js';
import { type CheckpointWriterOptions, WRITER_OPTIONS } from '../src/writer/writer-options.js';
import type { HttpGuest, WorkerHttp } from './http/server.js';
import { loadTelemetry } from './telemetry.js';

/** What a worker tells a parent that started it with an IPC channel: when it takes jobs, and what it has written. */
export type WorkerMessage = { type: 'ready' } | { type: 'stats'; stats: WriterStats };
/** What such a parent may ask. */
export type WorkerRequest = { type: 'stats' };

/** The settings of the environment, and sinks in place of those that a worker has by default: checkpoints and LangGraph's. */
export type WorkerConfig = ConnectedConfig & Pick<CheckpointWriterOptions, 'checkpoints' | 'sinks'>;

const SIGNAL_EXIT_CODE = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * One worker replica as a process: logs JSON lines to standard output and runs until SIGTERM or SIGINT, then commits what
 * it has within the deadline. A second signal ends it at once, which loses nothing either: its jobs come back when their
 * locks expire. Resolves when the writer is closed; what a service that is away still holds open may keep the process alive
 * then, so the caller ends it with `process.exit`.
 * @throws InvalidConfigError for a dashboard that would be open to others; what nobody handled, after an attempt to close: the
 *   process cannot be trusted to go on
 */
export async function runWorker(config: WorkerConfig): Promise<void> {
  checkDashboard(config);
  const logger = pino({ name: 'checkpoint-worker', level: config.logLevel, hooks: ESCAPED_LOG });
  const telemetry = config.otel ? await loadTelemetry() : undefined;
  const writer = new CheckpointWriter({
    ...pickKnown(config, WRITER_OPTIONS),
    sinks: config.sinks ?? [langGraphSink({ schema: config.graphSchema })],
    retention: retentionOfEnvironment(config),
    logger,
    telemetry,
  });
  const stopped = new Promise<void>((resolve, reject) => {
    let stopping = false;
    const stop = (reason: string) => {
      stopping = true;
      logger.info({ reason, deadlineMs: config.shutdownDeadlineMs }, 'stopping');
      writer.close({ deadlineMs: config.shutdownDeadlineMs }).then(resolve, reject);
    };
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => (stopping ? process.exit(SIGNAL_EXIT_CODE[signal]) : stop(signal)));
    }
    process.on('disconnect', () => stopping || stop('parent is gone'));
    const crash = (error: unknown) => {
      // Its message may hold data: the name and the code have to do.
      const { name, code } =
        error instanceof Error ? (error as NodeJS.ErrnoException) : { name: typeof error };
      logger.fatal({ error: code ?? name }, 'unexpected error, closing');
      const fail = () => reject(new CheckpointQueueError('UNEXPECTED', `unexpected error: ${code ?? name}`));
      writer.close({ deadlineMs: config.shutdownDeadlineMs }).then(fail, fail);
    };
    process.on('uncaughtException', crash).on('unhandledRejection', crash);
  });
  stopped.catch(() => {}); // awaited below
  answerParent(writer);
  const http = await serveHttp(writer, config, logger);
  try {
    await writer.start();
    tellParent({ type: 'ready' });
    await stopped;
  } finally {
    await http?.close();
  }
  tellParent({ type: 'stats', stats: writer.stats });
  process.removeAllListeners('disconnect');
  if (process.connected) process.disconnect();
}

/** Where no port is set, nothing of it is even loaded. @throws HttpListenError, with the writer closed */
async function serveHttp(
  writer: CheckpointWriter,
  { httpPort, ...config }: ConnectedConfig,
  logger: Logger,
): Promise<WorkerHttp | undefined> {
  if (httpPort === undefined) return undefined;
  const { WorkerHttp } = await import('./http/server.js');
  try {
    const guest = config.dashboard ? await dashboardGuest(config, logger) : undefined;
    const http = await WorkerHttp.start(writer, { ...config, httpPort, guest });
    logger.info({ url: http.url }, 'serving health and metrics');
    return http;
  } catch (error) {
    await writer.close({ deadlineMs: 0 });
    throw error;
  }
}

/** Loads nothing of the dashboard. @throws InvalidConfigError naming the variable */
function checkDashboard({ dashboard, dashboardToken, httpPort, httpHost }: ConnectedConfig): void {
  if (!dashboard) return;
  if (httpPort === undefined) {
    throw new InvalidConfigError('CKPT_HTTP_PORT', 'must be set for CKPT_DASHBOARD=true: it is served there');
  }
  assertProtected(httpHost, dashboardToken);
}

async function dashboardGuest(
  { dashboardToken: token, ...config }: DashboardConfig & Pick<ConnectedConfig, 'dashboardToken'>,
  logger: Logger,
): Promise<HttpGuest> {
  const [{ Dashboard }, { registerDashboard }, { BASE_PATH }] = await Promise.all([
    import('../src/dashboard/dashboard.js'),
    import('../src/dashboard/register.js'),
    import('../src/dashboard/server.js'),
  ]);
  const dashboard = new Dashboard({ ...config, token }, logger);
  return {
    register: (server) => registerDashboard(server, dashboard, { basePath: BASE_PATH }),
    close: () => dashboard.close(),
  };
}

function answerParent(writer: CheckpointWriter): void {
  if (!process.send) return;
  process.on('message', (request: WorkerRequest) => {
    if (request?.type === 'stats') tellParent({ type: 'stats', stats: writer.stats });
  });
}

function tellParent(message: WorkerMessage): void {
  if (process.connected) process.send?.(message);
}

// Started as a program of its own, as the container image does, and not through `ckpt worker`.
if (process.argv[1] !== undefined && fileURLToPath(import.meta.url) === realpathSync(process.argv[1])) {
  try {
    await runWorker(withServices(loadConfig()));
    process.exit(0);
  } catch (error) {
    const code = error instanceof CheckpointQueueError ? error.code : 'UNEXPECTED';
    const message = error instanceof Error ? error.message : 'unknown error';
    console.error(`checkpoint-worker: ${code}: ${escapeControls(message)}`);
    process.exit(code === 'INVALID_CONFIG' ? 2 : 1);
  }
}
