import type { Command } from 'commander';
import type { DeadLetter, DeadLetterPayload } from '../../../dead-letters/dead-letter.js';
import { DeadLetterNotFoundError } from '../../../errors.js';
import { checkpointText } from '../../checkpoint-text.js';
import { type CommonOptions, runCommand } from '../../command.js';
import { openDeadLetters } from '../../dead-letters.js';

export function registerDeadShow(dead: Command): void {
  dead
    .command('show <id>')
    .description('print one dead letter')
    .option('--payload', 'with the save itself: state and metadata')
    .option('--json', 'print JSON; with --payload, what "edit" takes is under "checkpoint"')
    .action((id: string, options: CommonOptions & { payload?: boolean }) =>
      runCommand(options, async (context) => {
        const { payload = false } = options;
        const letter = await context.interruptible(openDeadLetters(context).get(id, { payload }));
        if (!letter) throw new DeadLetterNotFoundError(id);
        context.print(shown(letter), () => letterText(letter));
      }),
    );
}

function shown({ payload, ...letter }: DeadLetter): object {
  if (!payload) return letter;
  return payload.kind === 'checkpoint'
    ? { ...letter, checkpoint: payload.checkpoint }
    : { ...letter, body: payload.body.toString('base64') };
}

function letterText({ payload, ...letter }: DeadLetter): string[] {
  return [
    `dead letter    ${letter.deadLetterId}`,
    `checkpoint     ${letter.id}`,
    `execution      ${letter.executionId}`,
    `sequence       ${letter.sequence}`,
    `refused with   ${letter.sqlState ?? 'no SQLSTATE'}`,
    `reason         ${letter.reason}`,
    ...(letter.constraint === undefined ? [] : [`constraint     ${letter.constraint}`]),
    ...(letter.column === undefined ? [] : [`column         ${letter.column}`]),
    `first refused  ${letter.firstFailedAt.toISOString()}`,
    `last refused   ${letter.lastFailedAt.toISOString()}`,
    `replays        ${letter.replays}`,
    `job, worker    ${letter.jobId}, ${letter.worker}`,
    `sink, table    ${letter.sink}, ${letter.target}`,
    `size           ${letter.bytes} B`,
    ...(payload ? ['', ...payloadText(payload)] : []),
  ];
}

function payloadText(payload: DeadLetterPayload): string[] {
  if (payload.kind === 'checkpoint') return checkpointText(payload.checkpoint);
  return [`no checkpoint, in base64: ${payload.body.toString('base64')}`];
}
