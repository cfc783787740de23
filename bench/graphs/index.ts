import type { GraphSubject } from './graph-subject.js';
import { memorySaver } from './memory-saver.js';
import { officialSavers } from './official-saver.js';
import { queuedSaver } from './queued-saver.js';

const GRAPH_SUBJECTS: readonly GraphSubject[] = [queuedSaver, ...officialSavers, memorySaver];

export function graphSubjectsOf(names: readonly string[]): GraphSubject[] {
  return GRAPH_SUBJECTS.filter(({ name }) => names.includes(name));
}
