import { type ChildProcess, type ForkOptions, fork, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';

/**
 * Reads "+pid" and "-pid" lines: a child that has been started, or has ended. End of input means that the process that writes them has
 * ended, however it did, kill -9 included; then the children that are left are killed, each with its process group, which a child that it
 * has started itself is in too.
 */
const GUARD_SCRIPT = `
children=' '
while read -r line; do
  case $line in
    +*) children="$children\${line#+} " ;;
    -*) children="\${children%% \${line#-} *} \${children#* \${line#-} }" ;;
  esac
done
for child in $children; do kill -s KILL -- "-$child" || kill -s KILL "$child"; done
`;

let guard: Socket | undefined;

/** One shell for the whole process. It does not keep the process alive, and no Ctrl-C in the terminal reaches it. */
function startGuard(): Socket {
  const shell = spawn('sh', ['-c', GUARD_SCRIPT], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.unref();
  const pipe = shell.stdin as Socket;
  pipe.unref();
  pipe.on('error', () => {}); // somebody has killed the shell
  return pipe;
}

/**
 * Starts a program that ends with this process at the latest, also where that is killed. It leads a process group, so that a Ctrl-C
 * reaches this process alone.
 */
export function spawnGuarded(
  command: string,
  args: readonly string[],
  options: SpawnOptions = {},
): ChildProcess {
  return guarded(spawn(command, args, { ...options, detached: true }));
}

/** As `spawnGuarded`, for a TypeScript module with an IPC channel. */
export function forkGuarded(
  module: string,
  args: readonly string[],
  options: ForkOptions = {},
): ChildProcess {
  return guarded(fork(module, args, { execArgv: ['--import', 'tsx'], ...options, detached: true }));
}

function guarded(child: ChildProcess): ChildProcess {
  const { pid } = child;
  if (pid === undefined) return child; // its `error` says why
  guard ??= startGuard();
  guard.write(`+${pid}\n`);
  // Its pid may soon be somebody else's.
  child.once('exit', () => guard?.write(`-${pid}\n`));
  return child;
}

/** Kills a guarded child with its process group. Resolves when it has ended. */
export async function kill(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  process.kill(-child.pid, 'SIGKILL');
  await ended;
}

/** A zombie has ended; how soon an orphaned one is reaped is up to the machine's first process. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = `/proc/${pid}/stat`;
  return !existsSync(stat) || !readFileSync(stat, 'utf8').includes(') Z ');
}
