import type { Answer, History, Operation, Read, Removal, Save } from './history.js';

/** How complaints and counterexamples name what happened. */
export function nameOf({ token, id, version, sequence }: Save): string {
  return `save ${token} (${id} v${version} #${sequence})`;
}

export function removalName({ scope, key, called, failed }: Removal): string {
  return `${scope === 'checkpoint' ? 'delete' : 'clear'} ${key} (called at ${called}${failed ? ', failed' : ''})`;
}

export function readName({ view, key, called }: Read): string {
  return `${view} ${key} (called at ${called})`;
}

/** Each operation in the order of the calls, with the counted times of its call and its return. */
export function happenings(history: History): string[] {
  const { saves, removals, reads, answers, disturbances, doubtful } = history;
  const lines: (readonly [Operation, string])[] = [
    ...saves.map((save) => [save, nameOf(save)] as const),
    ...removals.map((removal) => [removal, removalName(removal)] as const),
    ...reads.map(
      (read) => [read, `${readName(read)} shows ${read.shown.map(({ token }) => token)}`] as const,
    ),
    ...answers.map((answer) => [answer, answerName(answer)] as const),
    ...disturbances.map((disturbance) => [disturbance, disturbance.kind] as const),
    ...doubtful.map((save) => [save, `save ${save.token} (${save.id} v${save.version}), failed`] as const),
  ];
  return lines
    .sort(([a], [b]) => a.called - b.called)
    .map(
      ([{ producer, called, returned }, text]) => `${called} to ${returned}, producer ${producer}: ${text}`,
    );
}

function answerName({ token, outcome, final }: Answer): string {
  return `the receipt of ${token} says ${outcome}${final ? ' in the end' : ''}`;
}
