import type { Checkpoint, JsonObject } from '../../checkpoint.js';

/** What an agent has after one of its steps. The state may be changed once the next step is asked for. */
export interface Step {
  readonly nodeName: string;
  readonly state: JsonObject;
}

/** A run to play: the saves of one execution, in their order. */
export interface Agent {
  readonly executionId: string;
  /** How many saves it makes. */
  readonly saves: number;
  /** Every save, made when it is asked for. */
  checkpoints(): Iterable<Checkpoint>;
}

/** One save in so many saves the step before once more, with another state. */
const REVISE_EVERY = 10;

/** Newer by its version; newer by being saved later; and older, so that it must not be stored. */
const REVISION_VERSIONS = [2, 1, 0];
const FIRST_VERSION = 1;

/** The saves of a run of that many steps, with the revisions among them. */
export function savesOf(steps: number): number {
  return steps + Math.floor(steps / (REVISE_EVERY - 1));
}

/** How many of that many saves are steps. */
export function stepsOf(saves: number): number {
  return saves - Math.floor(saves / REVISE_EVERY);
}

/**
 * An agent that saves each of the steps, and now and then the step before again, for which step is newest is what is hard
 * to get right.
 * @param index place among the agents: their revisions differ, so that short runs together have all kinds
 */
export function agentOf(
  index: number,
  run: { executionId: string; saves: number; steps: () => Iterable<Step> },
): Agent {
  const { executionId, saves, steps } = run;
  return {
    executionId,
    saves,
    *checkpoints() {
      let last: Checkpoint | undefined;
      let made = 0;
      let revisions = 0;
      for (const step of steps()) {
        if (made === saves) return;
        last = checkpointOf(executionId, made - revisions, step);
        made++;
        yield last;
        if (made === saves || (made + 1) % REVISE_EVERY !== 0) continue;
        made++;
        yield revised(last, index + revisions++);
      }
    },
  };
}

function checkpointOf(executionId: string, step: number, { nodeName, state }: Step): Checkpoint {
  return {
    id: idOf(executionId, step),
    executionId,
    nodeName,
    state,
    metadata: { step, parent: step === 0 ? null : idOf(executionId, step - 1) },
    timestamp: new Date(),
    version: FIRST_VERSION,
  };
}

function idOf(executionId: string, step: number): string {
  return `${executionId}/${step}`;
}

function revised(checkpoint: Checkpoint, revision: number): Checkpoint {
  return {
    ...checkpoint,
    state: { ...(checkpoint.state as JsonObject), revision },
    metadata: { ...checkpoint.metadata, revision },
    version: REVISION_VERSIONS[revision % REVISION_VERSIONS.length] ?? FIRST_VERSION,
  };
}
