import type { ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { WriterStats } from '../../src/index.js';
import type { WorkerMessage, WorkerRequest } from '../../workers/checkpoint-worker.js';
import { forkGuarded, kill } from '../guarded-child.js';
import type { Place } from '../store/place.js';
import type { FailpointName } from './failpoint.js';
import type { EntryMessage, EntryRequest, WorkerSetup } from './worker-entry.js';

const PROGRAM = fileURLToPath(new URL('../../workers/checkpoint-worker.ts', import.meta.url));
const ENTRY = fileURLToPath(new URL('./worker-entry.ts', import.meta.url));
const LOG_LINES_IN_ERROR = 20;

export interface WorkerProcessOptions extends WorkerSetup {
  /** How soon the jobs of a worker that was killed come back, at most, in milliseconds; by default it takes 40 s. */
  comeBackMs?: number;
  /** More settings, `CKPT_…`. */
  env?: NodeJS.ProcessEnv;
}

/** A line of the worker's log. */
export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export type WorkerPlace = Pick<Place, 'postgres' | 'redis' | 'schema' | 'queue'>;

/** How a process ended. */
export interface WorkerEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A worker replica as a process of its own. Whoever spawns it removes it; it also ends with the process that spawned it. */
export class WorkerProcess {
  readonly log: LogLine[] = [];
  /** Resolves when the process is gone and its log is read to the end. */
  readonly ended: Promise<WorkerEnd>;
  /** Resolves when it takes jobs; rejects if it ends before. */
  readonly ready: Promise<void>;
  readonly #child: ChildProcess;
  readonly #messages: (WorkerMessage | EntryMessage)[] = [];
  readonly #news = new EventEmitter().setMaxListeners(0);
  #errors = '';
  #end: WorkerEnd | undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.ended = this.#whenEnded();
    this.#listen();
    this.ready = this.#message('ready').then(() => {});
    this.ready.catch(() => {}); // awaited by those who care
  }

  static spawn(
    { postgres, redis, schema, queue }: WorkerPlace,
    { env, comeBackMs, ...setup }: WorkerProcessOptions,
  ): WorkerProcess {
    const plain = setup.failpoints === undefined && setup.deadlyPrefix === undefined;
    const child = forkGuarded(plain ? PROGRAM : ENTRY, plain ? [] : [JSON.stringify(setup)], {
      env: {
        ...withoutSettings(process.env),
        DATABASE_URL: postgres,
        REDIS_URL: redis,
        CKPT_SCHEMA: schema,
        CKPT_QUEUE: queue,
        // A lock has to expire, and two looks, a third of it each, to pass: the first one marks the job.
        ...(comeBackMs && { CKPT_LOCK_DURATION_MS: String(Math.round(comeBackMs * 0.6)) }),
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    return new WorkerProcess(child);
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  get running(): boolean {
    return this.#end === undefined;
  }

  /** All that it has written to standard output and standard error, line by line. */
  get output(): string[] {
    return [...this.log.map((line) => JSON.stringify(line)), this.#errors];
  }

  /** Sends a signal; `ended` tells when that has ended it. SIGKILL ends it while it is suspended, too. */
  kill(signal: 'SIGKILL' | 'SIGTERM' | 'SIGINT' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }

  /** Resolves when its log has a line with this text, and of this SQLSTATE where one is given, now or later. */
  logged(text: string, sqlState?: string): Promise<LogLine> {
    const wanted = (line: LogLine) =>
      line.msg.includes(text) && (sqlState === undefined || line.sqlState === sqlState);
    return this.#until(`saying: ${text}`, () => this.log.find(wanted));
  }

  /** What it has written so far. */
  async stats(): Promise<WriterStats> {
    const told = this.#messages.filter(({ type }) => type === 'stats').length;
    this.#send({ type: 'stats' });
    const { stats } = await this.#message('stats', told);
    return stats;
  }

  /** Resolves when it stands at a failpoint. */
  async held(): Promise<FailpointName> {
    return (await this.#message('held')).at;
  }

  /** Lets it go on from all failpoints where it stands. */
  goOn(): void {
    this.#send({ type: 'goOn' });
  }

  /** Settles as the work does, or rejects if the worker ends before: what waits for it would wait for ever. */
  async outlives<T>(work: Promise<T>): Promise<T> {
    const end = this.ended.then(() => {
      throw this.#failure('ended while it was needed');
    });
    return Promise.race([work, end]);
  }

  /** Kills it if it still runs. */
  async remove(): Promise<void> {
    await kill(this.#child);
    await this.ended;
  }

  #send(request: WorkerRequest | EntryRequest): void {
    // One that has just ended is noticed by its end.
    if (this.#child.connected) this.#child.send(request, () => {});
  }

  #message<Type extends (WorkerMessage | EntryMessage)['type']>(type: Type, after = 0) {
    type Wanted = Extract<WorkerMessage | EntryMessage, { type: Type }>;
    return this.#until(`message ${type}`, () => {
      const told = this.#messages.filter((message): message is Wanted => message.type === type);
      return told[after];
    });
  }

  async #until<T>(what: string, look: () => T | undefined): Promise<T> {
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (this.#end) throw this.#failure(`ended without ${what}`);
      await once(this.#news, 'news');
    }
  }

  #listen(): void {
    const { stdout, stderr } = this.#child;
    if (stdout) createInterface({ input: stdout }).on('line', (line) => this.#read(line));
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
    });
    this.#child.on('message', (message) => {
      this.#messages.push(message as WorkerMessage | EntryMessage);
      this.#news.emit('news');
    });
  }

  #read(line: string): void {
    try {
      this.log.push(JSON.parse(line));
    } catch {
      this.#errors += `${line}\n`;
    }
    this.#news.emit('news');
  }

  async #whenEnded(): Promise<WorkerEnd> {
    const [code, signal] = await once(this.#child, 'close');
    this.#end = { code, signal };
    this.#news.emit('news');
    return this.#end;
  }

  #failure(what: string): Error {
    const { code, signal } = this.#end ?? {};
    const lines = this.output.slice(-LOG_LINES_IN_ERROR);
    return new Error(`the worker ${what} (${signal ?? `exit code ${code}`}):\n${lines.join('\n')}`);
  }
}

function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('CKPT_')));
}
