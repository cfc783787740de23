import { type ChildProcess, fork } from 'node:child_process';

export interface ChildOptions {
  readonly program: string;
  readonly args?: readonly string[];
  readonly execArgv?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** A compiled program of the benchmark in a process of its own, spoken to over IPC. */
export class Child<Sent extends object, Received extends { type: string }> {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #exited: Promise<void>;

  private constructor(name: string, { program, args = [], execArgv = [], env }: ChildOptions) {
    this.#name = name;
    // Detached, so that a Ctrl-C in the terminal reaches the benchmark alone, which then ends its processes.
    this.#child = fork(program, [...args], {
      execArgv: [...execArgv],
      env: env ?? process.env,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      detached: true,
    });
    this.#child.setMaxListeners(0);
    this.#exited = new Promise((resolve) => this.#child.once('exit', () => resolve()));
  }

  /** Lends a process that has ended when this settles. */
  static async use<Sent extends object, Received extends { type: string }, T>(
    name: string,
    options: ChildOptions,
    use: (child: Child<Sent, Received>) => Promise<T>,
  ): Promise<T> {
    const child = new Child<Sent, Received>(name, options);
    try {
      return await use(child);
    } finally {
      child.#child.kill('SIGKILL');
      await child.#exited;
    }
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.#name} did not start`);
    return this.#child.pid;
  }

  send(message: Sent): void {
    this.#child.send(message, () => {});
  }

  /** The next message of this type. Rejects when the process ends or the signal aborts. */
  receive<Type extends Received['type']>(
    type: Type,
    signal: AbortSignal,
  ): Promise<Extract<Received, { type: Type }>> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        this.#child.off('message', onMessage).off('exit', onExit);
        signal.removeEventListener('abort', onAbort);
        act();
      };
      const onMessage = (message: Received) => {
        if (message.type === type) settle(() => resolve(message as Extract<Received, { type: Type }>));
      };
      const onExit = () => settle(() => reject(new Error(`${this.#name} ended while it was needed`)));
      const onAbort = () => settle(() => reject(signal.reason));
      this.#child.on('message', onMessage).on('exit', onExit);
      signal.addEventListener('abort', onAbort);
      if (signal.aborted) onAbort();
      else if (this.#child.exitCode !== null || this.#child.signalCode !== null) onExit();
    });
  }
}
