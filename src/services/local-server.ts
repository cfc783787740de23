import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './free-port.js';
import type { GuardedFolder } from './guarded-folder.js';

/** Long, because a restarted server first reads its log of writes again. */
const START_TIMEOUT_MS = 60_000;
const READY_POLL_MS = 20;
/** Ports that other programs snatched are rare; more than this in a row means something else is wrong. */
const PORT_ATTEMPTS = 5;
/** A killed PostgreSQL holds its shared memory until its last backend has noticed, some 100 ms. */
const RESTART_ATTEMPTS = 50;
const RESTART_PAUSE_MS = 100;
const LOG_LINES_IN_ERROR = 20;

/** The user to run a server as. */
export interface ProcessIdentity {
  uid: number;
  gid: number;
}

/** What a `LocalServer` needs to know about the program that it runs. */
export interface ServerDefinition {
  name: string;
  folder: GuardedFolder;
  command: string;
  args(port: number): string[];
  env: NodeJS.ProcessEnv;
  identity?: ProcessIdentity;
  url(port: number): string;
  /** Resolves if this very server answers on the port, rejects if not. */
  probe(port: number): Promise<void>;
  /** Ends it and keeps its data. */
  shutdownSignal: EndingSignal;
  /** Ends it for good; may be rougher where the data is thrown away. */
  stopSignal: EndingSignal;
}

export type EndingSignal = 'SIGTERM' | 'SIGINT' | 'SIGQUIT' | 'SIGKILL';

/**
 * A server process of our own on a port of 127.0.0.1, with its folder and its log file in it.
 *
 * It can be ended, suspended and started again with the same port and data, which is what outages are made of in
 * tests. It does not keep the program alive, a Ctrl-C in the terminal does not reach it, and it ends with the program
 * however that ends (see `GuardedFolder`). Calls are expected one after the other, not at the same time.
 */
export class LocalServer {
  readonly port: number;
  readonly url: string;
  readonly #definition: ServerDefinition;
  #process: ChildProcess | undefined;
  #stopping: Promise<void> | undefined;

  private constructor(definition: ServerDefinition, port: number) {
    this.#definition = definition;
    this.port = port;
    this.url = definition.url(port);
  }

  /** Starts the server and waits until it answers. Without a port it takes a free one. */
  static async start(
    definition: ServerDefinition,
    { port, signal }: { port?: number | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<LocalServer> {
    for (let attempt = 1; ; attempt++) {
      const server = new LocalServer(definition, port ?? (await freePort()));
      try {
        await server.#launch(signal);
        return server;
      } catch (error) {
        if (port !== undefined || attempt === PORT_ATTEMPTS || !isBusy(error)) throw error;
      }
    }
  }

  /** The process id, or undefined while the server is down. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** The temporary or given folder with its data and its log. */
  get directory(): string {
    return this.#definition.folder.path;
  }

  /**
   * Sends a signal. SIGSTOP and SIGCONT suspend and resume the process; any other ends it, also while it is suspended,
   * and the promise resolves when it has ended. `restart()` brings it back. SIGSTOP suspends the one process only: a
   * PostgreSQL takes no new connections then, but goes on with those it has.
   */
  async kill(signal: EndingSignal | 'SIGSTOP' | 'SIGCONT' = 'SIGKILL'): Promise<void> {
    const child = this.#process;
    if (!child) return;
    child.kill(signal);
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') return;
    child.kill('SIGCONT');
    child.ref();
    await once(child, 'exit');
  }

  /** Ends the server if it runs and starts it with the same port and data. */
  async restart(): Promise<void> {
    if (this.#stopping !== undefined) throw new Error(`${this.#definition.name} was stopped for good.`);
    await this.kill(this.#definition.shutdownSignal);
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#launch();
        return;
      } catch (error) {
        if (attempt === RESTART_ATTEMPTS || !isBusy(error)) throw error;
      }
      await delay(RESTART_PAUSE_MS);
    }
  }

  /** Ends the server for good and deletes its folder if that is a temporary one. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#definition.folder.release();
    return this.#stopping;
  }

  async #launch(signal?: AbortSignal): Promise<void> {
    const { command, args, env, identity, folder, stopSignal } = this.#definition;
    const log = await open(this.#logFile, 'a');
    try {
      const child = spawn(command, args(this.port), {
        cwd: folder.path,
        env,
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
        ...identity,
      });
      if (child.pid) folder.watch(child.pid, stopSignal);
      child.once('exit', () => {
        this.#process = undefined;
        folder.unwatch();
      });
      await once(child, 'spawn');
      child.unref();
      this.#process = child;
    } finally {
      await log.close();
    }
    await this.#untilReady(signal);
  }

  async #untilReady(signal?: AbortSignal): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT_MS;
    for (;;) {
      signal?.throwIfAborted();
      if (!this.#process) throw await this.#failure('ended instead of starting');
      try {
        await this.#definition.probe(this.port);
        return;
      } catch (error) {
        if (performance.now() > deadline)
          throw await this.#failure(`did not answer in ${START_TIMEOUT_MS} ms`, error);
      }
      await delay(READY_POLL_MS);
    }
  }

  get #logFile(): string {
    return join(this.directory, `${this.#definition.name}.log`);
  }

  async #failure(what: string, cause?: unknown): Promise<Error> {
    const log = await readFile(this.#logFile, 'utf8');
    const lastLines = log.trimEnd().split('\n').slice(-LOG_LINES_IN_ERROR).join('\n');
    return new Error(`${this.#definition.name} ${what}. Its log ends with:\n${lastLines}`, { cause });
  }
}

/** Whether the server could not start because something that will be free again is in use. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && /address already in use|shared memory block/i.test(error.message);
}
