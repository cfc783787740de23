import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, realpath } from 'node:fs/promises';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Reads "pid signal" lines: the server to end, or an empty line for none. End of input means that the owner is done,
 * or dead. A server that ignores its signal for 10 s is killed. A zombie has ended, even if nobody reaps it for long.
 */
const GUARD_SCRIPT = `
running() {
  kill -0 "$server" || return 1
  case $(cat "/proc/$server/stat") in *') Z '*) return 1 ;; esac
}
while read -r pid signal; do server=$pid ending=$signal; done
if [ -n "$server" ]; then
  kill -s "$ending" "$server" && kill -s CONT "$server"
  tries=0
  while running && [ $tries -lt 220 ]; do
    [ $tries -eq 200 ] && kill -s KILL "$server"
    tries=$((tries + 1))
    sleep 0.05
  done
fi
[ -z "$1" ] || rm -rf -- "$1"
`;

/**
 * The folder of one server, and a guard that ends the server and deletes the folder once they are released.
 *
 * The guard is a shell of its own that waits on a pipe from this process. Whatever ends this process (`release()`, a
 * signal, an exception, even kill -9) closes the pipe, so no exit or signal handlers are needed, and the program's own
 * handlers stay in charge. After a sudden end the guard finishes some milliseconds later than the process.
 *
 * A folder that the caller names is kept; only its server is ended.
 */
export class GuardedFolder {
  readonly path: string;
  readonly temporary: boolean;
  readonly #guard: ChildProcess;
  #released: Promise<void> | undefined;

  private constructor(path: string, temporary: boolean) {
    this.path = path;
    this.temporary = temporary;
    this.#guard = spawn('sh', ['-c', GUARD_SCRIPT, 'checkpoint-queue-guard', temporary ? path : ''], {
      cwd: '/',
      // In a process group of its own, so that a Ctrl-C in the terminal does not reach it.
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#guard.unref();
    if (this.#guard.stdin instanceof Socket) this.#guard.stdin.unref();
    // A write to a guard that has ended fails; release() looks at the guard itself.
    this.#guard.stdin?.on('error', () => {});
  }

  /** Uses `directory`, made if it is missing, or a new temporary folder for the server called `name`. */
  static async create(name: string, directory?: string): Promise<GuardedFolder> {
    if (directory) await mkdir(directory, { recursive: true });
    const path = directory ?? (await mkdtemp(join(tmpdir(), `checkpoint-queue-${name}-`)));
    const folder = new GuardedFolder(await realpath(path), directory === undefined);
    await once(folder.#guard, 'spawn');
    return folder;
  }

  /** Names the process that `signal` shall end at the release, in place of the one named before. */
  watch(pid: number, signal: NodeJS.Signals): void {
    this.#tell(`${pid} ${signal.slice('SIG'.length)}\n`);
  }

  /** Says that the watched process has ended: its pid may soon be somebody else's. */
  unwatch(): void {
    this.#tell('\n');
  }

  /** Ends the watched process and deletes a temporary folder; resolves when both are done. */
  release(): Promise<void> {
    this.#released ??= this.#release();
    return this.#released;
  }

  #tell(line: string): void {
    if (!this.#released) this.#guard.stdin?.write(line);
  }

  async #release(): Promise<void> {
    if (this.#guard.exitCode !== null || this.#guard.signalCode !== null) return;
    this.#guard.ref();
    this.#guard.stdin?.end();
    await once(this.#guard, 'exit');
  }
}
