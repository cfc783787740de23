import type { Command } from 'commander';
import { required } from '../../config.js';
import { Database } from '../../postgres/database.js';
import { tableNames } from '../../postgres/identifiers.js';
import { migrate, SCHEMA_VERSION } from '../../postgres/schema.js';
import { type CommonOptions, runCommand } from '../command.js';

export function registerInit(program: Command): void {
  program
    .command('init')
    .description('create the tables, or bring them up to date; safe to run again and by many at once')
    .option('--json', 'print JSON')
    .action((options: CommonOptions) =>
      runCommand(options, async ({ config, closing, print }) => {
        const names = tableNames(config);
        await migrate(closing(new Database(required(config, 'postgres'))), names);
        const { label } = names;
        print(
          { table: label, schemaVersion: SCHEMA_VERSION },
          `${label} is at schema version ${SCHEMA_VERSION}`,
        );
      }),
    );
}
