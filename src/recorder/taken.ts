import { randomUUID } from 'node:crypto';

/** A state on its way into the store. Tried again, it is the same checkpoint. */
export interface Taken {
  readonly id: string;
  readonly nodeName: string;
  readonly state: unknown;
  readonly source: 'auto' | 'interval' | 'manual' | 'update';
}

export function taken(nodeName: string, state: unknown, source: Taken['source']): Taken {
  return { id: randomUUID(), nodeName, state, source };
}
