import { clears } from './clears.js';
import { large } from './large.js';
import { latest } from './latest.js';
import { replicas } from './replicas.js';
import type { Scenario } from './scenario.js';

const SCENARIOS: readonly Scenario[] = [clears, latest, replicas, large];

export function scenariosOf(names: readonly string[]): Scenario[] {
  return SCENARIOS.filter(({ name }) => names.includes(name));
}
