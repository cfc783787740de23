/**
 * How the servers for tests, benchmarks and the demo are set up, wherever they run. Nothing here weakens durability:
 * `fsync` and `synchronous_commit` stay as PostgreSQL delivers them.
 */
export const POSTGRES_SETTINGS = [
  'max_connections=200',
  'shared_buffers=256MB',
  // Above what a benchmark writes in a minute, so that its result is not the number of forced checkpoints.
  'max_wal_size=4GB',
  'timezone=UTC',
  'log_timezone=UTC',
].flatMap((setting) => ['-c', setting]);

/** The C locale exists everywhere and sorts the same everywhere. */
export const INITDB_FLAGS = ['--encoding=UTF8', '--locale=C'];

/** Arguments of a redis-server that never evicts, and keeps what it holds in an append-only file if asked to. */
export function redisArguments(appendOnly: boolean): string[] {
  return [
    ...['--save', ''],
    ...['--maxmemory-policy', 'noeviction'],
    ...['--appendonly', appendOnly ? 'yes' : 'no'],
    ...['--appendfsync', 'everysec'],
    // A queue's file grows fast and says little: rewriting it every 64 MB, the default, costs a third of Redis' CPU.
    ...['--auto-aof-rewrite-min-size', '512mb'],
  ];
}
