import type { DemoReport } from './run-demo.js';

/** What `ckpt demo --json` prints. */
export interface DemoResult {
  agents: number;
  saves: number;
  acknowledged: number;
  /** Acknowledged saves that are known to be through: stored, or not needed because a newer one is. */
  committed: number;
  missing: number;
  stale: number;
  /** From a save to its acknowledgement. */
  saveLatencyMs: { p50: number; p99: number };
  /** From the first save until all were committed. */
  committedPerSecond: number;
  batches: number;
  /** From the first save until the last checkpoint was compared. */
  durationMs: number;
}
