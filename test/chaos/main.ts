import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ChaosOptions, readOptions, USAGE, UsageError } from './options.js';
import { summaryOf } from './report.js';
import { runChaos } from './run.js';

const EXIT = { broken: 1, usage: 2, interrupted: 130 };

const began = performance.now();

/** Standard output is for the result alone. */
function say(message: string): void {
  const seconds = ((performance.now() - began) / 1000).toFixed(0).padStart(5);
  process.stderr.write(`${seconds} s  ${message}\n`);
}

async function chaos({ jsonFile, ...options }: ChaosOptions, signal: AbortSignal): Promise<void> {
  say(`seed ${options.seed}`);
  const report = await runChaos({ ...options, signal, onProgress: say });
  const file = jsonFile ?? defaultFile(report.startedAt);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
  console.log(summaryOf(report));
  say(`report is in ${file}`);
  if (report.broken.length > 0) process.exitCode = EXIT.broken;
  else if (report.interrupted) process.exitCode = EXIT.interrupted;
}

function defaultFile(startedAt: string): string {
  return fileURLToPath(new URL(`./results/${startedAt.replaceAll(':', '-')}.json`, import.meta.url));
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (!options) {
    console.log(USAGE);
    return;
  }
  const interruption = new AbortController();
  const interrupt = () => {
    say('ending early; once more ends at once, without the checks');
    interruption.abort();
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  try {
    await chaos(options, interruption.signal);
  } catch (error) {
    if (!interruption.signal.aborted || (error as Error).name !== 'AbortError') throw error;
    process.exitCode = EXIT.interrupted; // before there was anything to check
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${USAGE}`);
  process.exitCode = EXIT.usage;
}
// All is closed. Node 20 was seen to spin for ever in its own clean-up of handles after a run, with the pipe of a killed child left.
process.exit();
