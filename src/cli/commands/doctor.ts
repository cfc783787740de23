import type { Command } from 'commander';
import { withServices } from '../../config.js';
import { diagnose } from '../../doctor/doctor.js';
import { type Finding, type Severity, worst } from '../../doctor/finding.js';
import { escapeControls } from '../../terminal-text.js';
import { type CommonOptions, runCommand } from '../command.js';
import { wholeNumber } from '../stores.js';

const EXIT_CODE: Record<Severity, number> = { ok: 0, warning: 1, error: 2 };
const MAX_TIMEOUT_SECONDS = 300;
const WIDTH = 110;

export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description(
      'look at Redis, PostgreSQL and the queue, send a checkpoint the whole way, and say what to do',
    )
    .option('--timeout <seconds>', 'for each check; the probe may take three times that', '10')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExit code: 0 all is well, 1 warnings, 2 errors.')
    .action(async (options: CommonOptions & { timeout: string }) => {
      await runCommand(options, async ({ config, print, interruptible }) => {
        const timeoutMs = wholeNumber('--timeout', options.timeout, 1, MAX_TIMEOUT_SECONDS) * 1000;
        const findings = await interruptible(diagnose(withServices(config), timeoutMs));
        const severity = worst(findings);
        print({ severity, findings }, () => doctorText(findings));
        process.exitCode = EXIT_CODE[severity];
      });
      // Interrupted, it would otherwise wait for what a server has not answered.
      process.exit();
    });
}

/** One line for what was seen, and below it what to do. */
function doctorText(findings: readonly Finding[]): string[] {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const line = ({ severity, check, seen }: Finding) =>
    `${severity.padEnd('warning'.length)}  ${check.padEnd(width)}  ${seen}`;
  const lines = findings.flatMap((finding) => [
    line(finding),
    ...(finding.todo === undefined ? [] : indented(escapeControls(finding.todo))),
  ]);
  const count = (severity: Severity) => {
    const found = findings.filter((finding) => finding.severity === severity).length;
    return `${found} ${severity}${found === 1 ? '' : 's'}`;
  };
  const sum = `${findings.length} checks: ${count('error')}, ${count('warning')}`;
  return [...lines, '', sum];
}

/** Words in lines of at most `WIDTH`, below their finding. */
function indented(text: string): string[] {
  const [first, rest] = ['         → ', '           '];
  const lines: string[] = [];
  let line = first;
  for (const word of text.split(' ')) {
    if (line.length + word.length > WIDTH && line.trim() !== '→') {
      lines.push(line.trimEnd());
      line = rest;
    }
    line += `${word} `;
  }
  return [...lines, line.trimEnd()];
}
