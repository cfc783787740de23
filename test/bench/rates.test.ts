import { expect, it } from 'vitest';
import { barChartsSvg } from '../../bench/rates/bar-chart.js';
import { distanceCells, ratesCells } from '../../bench/rates/cells.js';
import { pacedSaves } from '../../bench/rates/paced-saves.js';
import { parseSchedstat, parseStat } from '../../bench/rates/proc.js';
import { Schedule } from '../../bench/rates/schedule.js';

it('several producers share a rate without two saves due at once', () => {
  const schedules = [0, 1, 2].map((producer) => new Schedule(100, 3, producer));
  const due = schedules.flatMap((schedule) =>
    Array.from({ length: schedule.savesWithin(1000) }, (_, index) => schedule.dueMs(index)),
  );
  expect(due.sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, index) => index * 10));
});

it('a producer whose first save is due after the window has none', () => {
  expect(new Schedule(10, 20, 19).savesWithin(1000)).toBe(0);
});

it('a late save counts from when it was due', async () => {
  let saves = 0;
  const { latencies, due, failed } = await pacedSaves({
    schedule: new Schedule(100, 1, 0),
    windowMs: 100,
    startAt: Date.now() - 50,
    maxInFlight: 100,
    save: async () => {
      saves++;
    },
  });
  expect([due, saves, failed]).toEqual([10, 10, 0]);
  expect(latencies[0]).toBeGreaterThanOrEqual(49);
});

it('saves that cannot start before the window ends are left out', async () => {
  const { latencies, due } = await pacedSaves({
    schedule: new Schedule(1000, 1, 0),
    windowMs: 50,
    startAt: Date.now(),
    maxInFlight: 2,
    save: () => new Promise((resolve) => setTimeout(resolve, 200)),
  });
  expect(due).toBe(50);
  expect(latencies).toHaveLength(2);
});

it('saves that are never answered end nothing', async () => {
  const { unanswered, inTime } = await pacedSaves({
    schedule: new Schedule(1000, 1, 0),
    windowMs: 5,
    startAt: Date.now(),
    maxInFlight: 10,
    save: () => new Promise(() => {}),
    drainMs: 10,
  });
  expect([unanswered, inTime]).toEqual([5, 0]);
});

it('a failed save is counted and ends nothing', async () => {
  const { failed, latencies } = await pacedSaves({
    schedule: new Schedule(1000, 1, 0),
    windowMs: 5,
    startAt: Date.now(),
    maxInFlight: 10,
    save: () => Promise.reject(new Error('refused')),
  });
  expect([failed, latencies.length]).toEqual([5, 0]);
});

it('/proc/<pid>/stat is read behind a name with blanks and parentheses', () => {
  const text = '42 (a (b) c) S 7 42 42 0 -1 4194560 1 2 3 4 150 50 20 10 20 0 1 0 100 0 0';
  expect(parseStat(text)).toEqual({ parent: 7, ownUs: 2_000_000, endedChildrenUs: 300_000 });
});

it('schedstat gives nanoseconds', () => {
  expect(parseSchedstat('5203820 7917372 5\n')).toBeCloseTo(5203.82);
});

it('every condition has every method', () => {
  expect(ratesCells(false)).toHaveLength(4 * 2 * 2 * 3);
  expect(distanceCells(false)).toHaveLength(5 * 3);
});

it('a chart escapes its texts, shows marks, and leaves gaps', () => {
  const groups = [{ label: '<8 KB>', values: [{ value: 1234, mark: '*' }, undefined] }];
  const svg = barChartsSvg([{ title: 'a & b', unit: 'ms', series: ['x', 'y'], groups }]);
  expect(svg).toContain('a &amp; b');
  expect(svg).toContain('&lt;8 KB&gt;');
  expect(svg).toContain('1,234*');
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  expect(svg).toContain('prefers-color-scheme:dark');
});
