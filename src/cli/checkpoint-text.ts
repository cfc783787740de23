import type { Checkpoint } from '../checkpoint.js';
import { escapeControls } from '../terminal-text.js';

/** A checkpoint for people, in lines. */
export function checkpointText({ state, metadata, ...checkpoint }: Checkpoint): string[] {
  return [
    `id         ${checkpoint.id}`,
    `execution  ${checkpoint.executionId}`,
    `node       ${checkpoint.nodeName}`,
    `version    ${checkpoint.version}`,
    `timestamp  ${checkpoint.timestamp.toISOString()}`,
    `metadata   ${JSON.stringify(metadata)}`,
    ...`state      ${JSON.stringify(state, null, 2)}`.split('\n'),
  ];
}

/** Checkpoints as a table, without their states. */
export function checkpointTable(checkpoints: readonly Checkpoint[]): string[] {
  if (checkpoints.length === 0) return ['no checkpoints'];
  const rows = checkpoints.map(({ id, nodeName, version, timestamp, state }) => [
    id,
    nodeName,
    String(version),
    timestamp.toISOString(),
    `${Buffer.byteLength(JSON.stringify(state))} B`,
  ]);
  return textTable(['id', 'node', 'version', 'timestamp', 'state'], rows);
}

/** A line for each row; columns as wide as their widest cell. */
export function textTable(header: readonly string[], cells: ReadonlyArray<readonly string[]>): string[] {
  // Before they are measured.
  const rows = cells.map((row) => row.map(escapeControls));
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
  return [header, ...rows].map((row) => line(row).trimEnd());
}
