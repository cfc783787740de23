import { once } from 'node:events';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { PostgresCheckpointStore } from '../../src/index.js';
import { retentionQueue } from '../../src/redis/queue-keys.js';
import { daily, saveLongAgo, storedIds, tombstones, waitsFor } from '../retention/rows.js';
import { type Place, testPlace } from '../store/place.js';
import { type CliResult, logged, runCli, startCli } from './cli.js';

let place: Place;
let plain: PostgresCheckpointStore;
let env: NodeJS.ProcessEnv;
beforeEach(async () => {
  place = await testPlace();
  env = { CKPT_SCHEMA: place.schema, CKPT_QUEUE: place.queue };
  plain = new PostgresCheckpointStore({ postgres: place.postgres, schema: place.schema });
  onTestFinished(() => plain.close());
  await plain.saveBatch([...daily('a', 5), ...daily('b', 4)]);
});

/** Of one execution: ten batches. */
const ROWS = 10_000;

const prune = (...args: string[]): Promise<CliResult> => runCli(['prune', ...args], env);

function errorOf({ stderr }: CliResult): { code: string; field?: string } {
  return JSON.parse(stderr).error;
}

describe('ckpt prune', { timeout: 60_000 }, () => {
  it('counts in a rehearsal, removes after a yes, and finds nothing more', async () => {
    const rehearsed = await prune('--keep-last', '2', '--older-than', '36h', '--dry-run', '--json');
    expect(JSON.parse(rehearsed.stdout)).toEqual({ wouldPrune: 5, heldBack: 0, interrupted: false });
    expect(await storedIds(place)).toHaveLength(9);
    const pruned = await prune('--keep-last', '2', '--older-than', '36h', '--yes');
    expect(pruned).toEqual({ code: 0, stdout: 'pruned 5 checkpoints\n', stderr: '' });
    expect(await storedIds(place)).toEqual(['a:4', 'a:5', 'b:3', 'b:4']);
    expect((await prune('--keep-last', '2', '--dry-run')).stdout).toBe('0 checkpoints to prune\n');
  });

  it('touches only the given execution', async () => {
    const { stdout } = await prune('--keep-last', '1', '--execution', 'b', '--yes', '--json');
    expect(JSON.parse(stdout)).toEqual({ pruned: 3, heldBack: 0, interrupted: false });
    expect(await storedIds(place)).toEqual(['a:1', 'a:2', 'a:3', 'a:4', 'a:5', 'b:4']);
  });

  it('says what is held back, and why', async () => {
    await place.client.zadd(place.keys.chunks, 1, 'w-1');
    await place.client.zadd(place.keys.marks, 0, 'a\0w-1');
    expect((await prune('--keep-last', '3', '--yes')).stdout).toBe(
      'pruned 1 checkpoint; 2 held back: saves as old wait in the queue or among the dead letters\n',
    );
  });

  it('says where it is used in a wrong way, and removes nothing', async () => {
    const wrong = await Promise.all([
      prune('--yes', '--json'),
      prune('--keep-last', '0', '--yes', '--json'),
      prune('--older-than', 'long', '--yes', '--json'),
      prune('--keep-last', '1', '--execution', '', '--yes', '--json'),
      prune('--keep-last', '1', '--json'),
    ]);
    expect(wrong.map((result) => [result.code, errorOf(result).field])).toEqual([
      [2, '--keep-last'],
      [2, '--keep-last'],
      [2, '--older-than'],
      [2, '--execution'],
      [2, '--yes'],
    ]);
    expect(await storedIds(place)).toHaveLength(9);
  });

  it('stops on Ctrl-C between two batches, and says how far it came', async () => {
    await plain.saveBatch(daily('long', ROWS));
    await saveLongAgo(place);
    // The first of ten batches waits for the table until the signal is sent.
    const rival = await place.pool.connect();
    onTestFinished(() => rival.release());
    await rival.query(`BEGIN; LOCK TABLE ${place.schema}.checkpoints IN SHARE MODE`);
    const child = startCli(['prune', '--keep-last', '1', '--yes', '--json'], env);
    let stdout = '';
    child.stdout?.on('data', (text) => {
      stdout += text;
    });
    child.stderr?.resume();
    await expect.poll(() => waitsFor(place, `${place.schema}.checkpoints`), { timeout: 20_000 }).toBe(true);
    child.kill('SIGINT');
    await rival.query('COMMIT');
    expect(await once(child, 'close')).toEqual([130, null]);
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ interrupted: true, heldBack: 0 });
    expect(result.pruned).toBeGreaterThan(0);
    const left = await storedIds(place);
    expect(left).toHaveLength(9 + ROWS - result.pruned);
    expect(left.length).toBeGreaterThan(2000);
  });

  it('is done by a worker that is set so, and taken back by one that is not', async () => {
    await saveLongAgo(place);
    const { name, prefix, schedulers } = retentionQueue(place.keys);
    onTestFinished(async () => {
      const left = await place.client.keys(`${prefix}:${name}:*`);
      if (left.length > 0) await place.client.unlink(left);
    });
    const worker = startCli(['worker'], {
      ...env,
      CKPT_RETENTION_KEEP_LAST: '2',
      CKPT_RETENTION_EVERY: '0 3 * * *',
    });
    await logged(worker, 'writer started');
    await expect.poll(() => place.client.zscore(schedulers, 'retention')).not.toBeNull();
    const nextAt = new Date(Number(await place.client.zscore(schedulers, 'retention')));
    expect([nextAt.getUTCHours(), nextAt.getUTCMinutes()]).toEqual([3, 0]);
    worker.kill('SIGTERM');
    await once(worker, 'close');
    const often = startCli(['worker'], {
      ...env,
      CKPT_RETENTION_OLDER_THAN: '84h',
      CKPT_RETENTION_EVERY: '1h',
    });
    await logged(often, 'retention has run');
    expect(await storedIds(place)).toEqual(['a:3', 'a:4', 'a:5', 'b:2', 'b:3', 'b:4']);
    expect(await tombstones(place)).toBe(0);
    often.kill('SIGTERM');
    await once(often, 'close');
    const without = startCli(['worker'], env);
    await logged(without, 'schedule is removed');
    expect(await place.client.zscore(schedulers, 'retention')).toBeNull();
    without.kill('SIGTERM');
    await once(without, 'close');
  });
});
