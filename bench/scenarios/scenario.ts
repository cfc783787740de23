import type { Figures } from '../figures.js';
import type { Subject } from '../subject.js';

/** In the order of the report. */
export const SCENARIO_NAMES = ['clears', 'latest', 'replicas', 'large'] as const;
export type ScenarioName = (typeof SCENARIO_NAMES)[number];

/** What the pipeline alone is measured at: nothing beside it does the same. */
export interface Scenario extends Subject<ScenarioName> {
  /** What of it is shown, in this order. */
  readonly lines: readonly FigureLine[];
}

export interface FigureLine {
  readonly figure: keyof Figures;
  readonly label: string;
  readonly unit: 'saves/s' | 'clears/s' | 'clears' | 'rows' | 'ratio' | 'ms';
}
