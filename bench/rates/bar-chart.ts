/** One chart of grouped bars on a logarithmic scale. */
export interface BarChart {
  readonly title: string;
  /** What the bars measure, with its unit. */
  readonly unit: string;
  readonly series: readonly string[];
  /** A value for each series; undefined leaves a gap. A mark stands behind the value. */
  readonly groups: readonly { label: string; values: readonly (Bar | undefined)[] }[];
}

export interface Bar {
  readonly value: number;
  readonly mark?: string;
}

const WIDTH = 760;
const LABEL_WIDTH = 190;
const VALUE_WIDTH = 80;
const BAR_HEIGHT = 13;
const GROUP_GAP = 12;
const HEADER_HEIGHT = 62;
/** Told apart without colour vision too; each reads on white and on dark grey. */
const COLOURS = ['#0b84d8', '#d9730d', '#8a8f98'];

/** The charts below each other, as one SVG that follows the reader's colour scheme. */
export function barChartsSvg(charts: readonly BarChart[]): string {
  let y = 0;
  const parts = charts.map((chart) => {
    const part = `<g transform="translate(0 ${y})">${chartSvg(chart)}</g>`;
    y += heightOf(chart);
    return part;
  });
  const style =
    'text{font:12px system-ui,sans-serif;fill:#24292f}.t{font-size:15px;font-weight:600}.m{fill:#6e7781}' +
    '@media(prefers-color-scheme:dark){text{fill:#e6edf3}.m{fill:#9198a1}}';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img"><style>${style}</style>${parts.join('')}</svg>\n`;
}

function heightOf({ groups, series }: BarChart): number {
  return HEADER_HEIGHT + groups.length * (series.length * BAR_HEIGHT + GROUP_GAP) + GROUP_GAP;
}

function chartSvg({ title, unit, series, groups }: BarChart): string {
  const values = groups.flatMap((group) => group.values.flatMap((bar) => (bar ? [bar.value] : [])));
  const width = logScale(values, WIDTH - LABEL_WIDTH - VALUE_WIDTH);
  const legend = series.map(
    (name, index) =>
      `<rect x="${LABEL_WIDTH + index * 130}" y="42" width="10" height="10" rx="2" fill="${colour(index)}"/>` +
      `<text x="${LABEL_WIDTH + index * 130 + 15}" y="51">${escapeXml(name)}</text>`,
  );
  const bars = groups.flatMap((group, row) => {
    const top = HEADER_HEIGHT + row * (series.length * BAR_HEIGHT + GROUP_GAP);
    const middle = top + (series.length * BAR_HEIGHT) / 2 + 4;
    const label = `<text x="${LABEL_WIDTH - 10}" y="${middle}" text-anchor="end">${escapeXml(group.label)}</text>`;
    const drawn = group.values.map((bar, index) => {
      if (!bar) return '';
      const [y, length] = [top + index * BAR_HEIGHT, width(bar.value)];
      return (
        `<rect x="${LABEL_WIDTH}" y="${y}" width="${length.toFixed(1)}" height="${BAR_HEIGHT - 2}" rx="2" fill="${colour(index)}"/>` +
        `<text class="m" x="${(LABEL_WIDTH + length + 5).toFixed(1)}" y="${y + 10}">${escapeXml(valueText(bar))}</text>`
      );
    });
    return [label, ...drawn];
  });
  const heading = `<text class="t" x="0" y="18">${escapeXml(title)}</text><text class="m" x="0" y="35">${escapeXml(unit)}, logarithmic scale</text>`;
  return [heading, ...legend, ...bars].join('');
}

/** Lengths for positive values; the smallest still shows. */
function logScale(values: readonly number[], length: number): (value: number) => number {
  const positive = values.filter((value) => value > 0);
  const low = Math.log10(Math.min(...positive) / 2);
  const high = Math.log10(Math.max(...positive));
  return (value) => (value > 0 ? Math.max(1, ((Math.log10(value) - low) / (high - low)) * length) : 1);
}

function valueText({ value, mark = '' }: Bar): string {
  const text = value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString('en-US');
  return `${text}${mark}`;
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length] as string;
}

function escapeXml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
