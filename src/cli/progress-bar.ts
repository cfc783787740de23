import cliProgress from 'cli-progress';

/** On standard error; the caller stops it. */
export function progressBar(doing: string, total: number): cliProgress.SingleBar {
  const bar = new cliProgress.SingleBar(
    { format: `${doing} {bar} {percentage}%`, stream: process.stderr, hideCursor: true },
    cliProgress.Presets.shades_classic,
  );
  bar.start(total, 0);
  return bar;
}
