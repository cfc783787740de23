import type { Command } from 'commander';
import { type Config, redactUrl } from '../../config.js';
import { SETTINGS } from '../../settings.js';
import { textTable } from '../checkpoint-text.js';
import { type CommonOptions, runCommand } from '../command.js';

export function registerConfig(program: Command): void {
  program
    .command('config')
    .description('print the settings in force; passwords and tokens are not shown')
    .option('--json', 'print JSON')
    .action((options: CommonOptions) =>
      runCommand(options, async ({ config, print }) => {
        const shown = Object.entries(SETTINGS).map(([name, { env, meaning }]) => ({
          env,
          value: shownValue(config, name as keyof Config),
          meaning,
        }));
        print(Object.fromEntries(shown.map(({ env, value }) => [env, value])), () =>
          textTable(
            ['variable', 'value', 'meaning'],
            shown.map(({ env, value, meaning }) => [env, String(value ?? '(not set)'), meaning]),
          ),
        );
      }),
    );
}

const URLS = new Set<keyof Config>(['redis', 'postgres', 'readPostgres']);
/** Of these nothing is shown but that they are set. */
const SECRETS = new Set<keyof Config>(['dashboardToken']);

function shownValue(config: Config, name: keyof Config): string | number | boolean | null {
  const value = config[name];
  if (value === undefined) return null;
  if (SECRETS.has(name)) return '***';
  return URLS.has(name) ? redactUrl(String(value)) : value;
}
