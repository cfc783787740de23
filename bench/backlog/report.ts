import type { TargetReport } from '../targets.js';
import type { Backlog } from './run.js';

const MB = 1_000_000;
const MAX_WORKER_RSS = 200 * MB;
/** A memory that grows by less than 20 bytes for each save of 1 KB, 20 MB over a million, holds none of them. */
const FLAT_BYTES_A_SAVE = 20;
const MIN_RATE_RATIO = 0.8;

/** The figures, as they are written to the file. */
export function backlogFigures({ saves, producer, worker, redis, fillRate }: Backlog) {
  const rates = worker.rates;
  const memory = (series: Backlog['worker']) => ({
    startMb: round(series.rssAt(0) / MB),
    midMb: round(series.rssAt(0.5) / MB),
    endMb: round(series.rssAt(1) / MB),
    maxMb: round(series.maxRss / MB),
    bytesASave: round(series.slope),
  });
  return {
    saves,
    producerRss: memory(producer),
    workerRss: memory(worker),
    savesASecond: Math.round(fillRate),
    drainASecond: rates.map(Math.round),
    lastToFirstTenth: (rates.at(-1) as number) / (rates[0] as number),
    redisMb: {
      before: round(redis.before / MB),
      full: round(redis.full / MB),
      drained: round(redis.drained / MB),
    },
    redisBytesASave: Math.round((redis.full - redis.before) / saves),
  };
}

export type BacklogFigures = ReturnType<typeof backlogFigures>;

export function backlogTargets({
  saves,
  producerRss,
  workerRss,
  lastToFirstTenth,
}: BacklogFigures): TargetReport[] {
  const atMost = (figure: string, measured: number, bound: number, unit: string): TargetReport => ({
    states: `backlog of ${saves.toLocaleString('en-US')}`,
    figure,
    target: `≤ ${bound} ${unit}`,
    measured,
    unit,
    met: measured <= bound,
    missedBy: Math.max(0, measured / bound - 1),
  });
  return [
    atMost('worker RSS, most', workerRss.maxMb, MAX_WORKER_RSS / MB, 'MB'),
    atMost('worker RSS, growth a save', workerRss.bytesASave, FLAT_BYTES_A_SAVE, 'B'),
    atMost('producer RSS, growth a save', producerRss.bytesASave, FLAT_BYTES_A_SAVE, 'B'),
    {
      states: `backlog of ${saves.toLocaleString('en-US')}`,
      figure: 'drain rate, last tenth ÷ first',
      target: `≥ ${MIN_RATE_RATIO}`,
      measured: lastToFirstTenth,
      met: lastToFirstTenth >= MIN_RATE_RATIO,
      missedBy: Math.max(0, 1 - lastToFirstTenth / MIN_RATE_RATIO),
    },
  ];
}

export function backlogText(figures: BacklogFigures): string {
  const { saves, producerRss, workerRss, savesASecond, drainASecond, redisMb, redisBytesASave } = figures;
  const rss = ({ startMb, midMb, endMb, maxMb, bytesASave }: BacklogFigures['workerRss']) =>
    `${startMb} MB at the start, ${midMb} in the middle, ${endMb} at the end, ${maxMb} at most; ${bytesASave} B a save`;
  const lines = [
    ['producer RSS', rss(producerRss)],
    ['worker RSS', rss(workerRss)],
    ['acknowledged', `${savesASecond.toLocaleString('en-US')} saves/s, while no worker ran`],
    ['drained', `${drainASecond.join(', ')} saves/s, by tenths of the backlog`],
    [
      'Redis memory',
      `${redisMb.before} MB before, ${redisMb.full} full (${redisBytesASave} B a save), ${redisMb.drained} drained`,
    ],
  ];
  const text = lines.map(([name, value]) => `  ${name?.padEnd(14)}${value}`).join('\n');
  return `Backlog of ${saves.toLocaleString('en-US')} saves of 1 KB, drained by one worker as the image starts it\n${text}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
