import type { Command } from 'commander';
import { loadConfig, withServices } from '../../config.js';
import { ESCAPED_LOG } from '../../terminal-text.js';
import { type CommonOptions, failCommand, writeLines } from '../command.js';
import { wholeNumber } from '../stores.js';

interface DashboardCommandOptions extends CommonOptions {
  host: string;
  port: string;
}

export function registerDashboard(program: Command): void {
  program
    .command('dashboard')
    .description('queue, workers, dead letters and executions in a browser, until Ctrl-C')
    .option('--host <address>', 'address to listen at', '127.0.0.1')
    .option('--port <port>', 'port to listen at; 0: a free one', '4983')
    .option('--json', 'print the URL as JSON')
    .addHelpText(
      'after',
      `
On this machine alone it needs no token; with CKPT_DASHBOARD_TOKEN it asks for it. Where other machines can reach it
(--host 0.0.0.0), the token must be set. To make one: openssl rand -hex 32
Workers serve the same dashboard with CKPT_DASHBOARD=true at their CKPT_HTTP_PORT.`,
    )
    .action(serveDashboard);
}

/** Not run as the other commands are: to stop it is no failure, and what holds a connection open must not keep it. */
async function serveDashboard({ host, port, json = false }: DashboardCommandOptions): Promise<void> {
  try {
    const { dashboardToken: token, ...config } = withServices(loadConfig());
    const place = { host, port: wholeNumber('--port', port, 0, 65_535) };
    const { DashboardServer } = await import('../../dashboard/server.js');
    const { pino } = await import('pino');
    // Standard output has the URL alone.
    const logger = pino(
      { name: 'checkpoint-dashboard', level: config.logLevel, hooks: ESCAPED_LOG },
      pino.destination(2),
    );
    const stopped = new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
    });
    const server = await DashboardServer.start({ ...config, ...place, token }, logger);
    writeLines(
      json ? JSON.stringify({ url: server.url }) : `The dashboard is at ${server.url}  (Ctrl-C ends it)`,
    );
    await stopped;
    await server.close();
    process.exit(0);
  } catch (error) {
    failCommand(error, json);
    process.exit();
  }
}
