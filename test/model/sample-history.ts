import type { Answer, Content, History, Read, Removal, Row, Save } from './history.js';
import { complaintsAbout } from './oracle.js';

/** `at(3)` is an operation from 30 to 35, so that those of other numbers come before or after; `at(3, 5)` one to 55. */
export function at(from: number, to = from, producer = 0) {
  return { producer, called: from * 10, returned: to * 10 + 5 };
}

const HOME: Record<string, string> = { a: 'x', b: 'x', c: 'y' };
export type Times = ReturnType<typeof at>;

export function save(
  token: string,
  id: string,
  version: number,
  sequence: number,
  times: Times,
  timestamp = 0,
): Save {
  return { token, id, executionId: HOME[id] as string, version, timestamp, sequence, ...times };
}

export function shown({ token, id, executionId, version, timestamp }: Save): Content {
  return { token, id, executionId, version, timestamp };
}

export function row(of: Save): Row {
  return { ...shown(of), sequence: of.sequence };
}

export const removal = (scope: Removal['scope'], key: string, times: Times): Removal => ({
  scope,
  key,
  ...times,
});
export const answer = (of: Save, outcome: Answer['outcome'], times: Times): Answer => ({
  token: of.token,
  outcome,
  final: false,
  ...times,
});
export const finalAnswer = (of: Save, outcome: Answer['outcome']) => ({
  ...answer(of, outcome, at(90)),
  final: true,
});
export const read = (view: Read['view'], key: string, saves: Save[], times: Times): Read => ({
  view,
  key,
  shown: saves.map(shown),
  ...times,
});

export function complaints(history: Partial<History>): string[] {
  return complaintsAbout({
    saves: [],
    removals: [],
    reads: [],
    answers: [],
    rows: [],
    failures: [],
    disturbances: [],
    doubtful: [],
    accepted: [],
    ...history,
  });
}
