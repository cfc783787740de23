import type { Checkpoint } from '../checkpoint.js';

/** A checkpoint for people. */
export function checkpointText({ state, metadata, ...checkpoint }: Checkpoint): string {
  return [
    `id         ${checkpoint.id}`,
    `execution  ${checkpoint.executionId}`,
    `node       ${checkpoint.nodeName}`,
    `version    ${checkpoint.version}`,
    `timestamp  ${checkpoint.timestamp.toISOString()}`,
    `metadata   ${JSON.stringify(metadata)}`,
    `state      ${JSON.stringify(state, null, 2)}`,
  ].join('\n');
}

/** Checkpoints as a table, without their states. */
export function checkpointTable(checkpoints: readonly Checkpoint[]): string {
  if (checkpoints.length === 0) return 'no checkpoints';
  const rows = checkpoints.map(({ id, nodeName, version, timestamp, state }) => [
    id,
    nodeName,
    String(version),
    timestamp.toISOString(),
    `${Buffer.byteLength(JSON.stringify(state))} B`,
  ]);
  return textTable(['id', 'node', 'version', 'timestamp', 'state'], rows);
}

/** Columns as wide as their widest cell. */
export function textTable(header: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
  return [header, ...rows].map((cells) => line(cells).trimEnd()).join('\n');
}
