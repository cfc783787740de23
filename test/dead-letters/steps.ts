import { Redis } from 'ioredis';
import { onTestFinished } from 'vitest';
import { deadLetterKeys } from '../../src/redis/queue-keys.js';
import type { Place } from '../store/place.js';

/** The steps of a replay, told by a key that only that command names. */
export type Step = 'prepare' | 'add' | 'confirm';

export function keyOf({ keys }: Place, step: Step): string {
  switch (step) {
    case 'prepare':
      return keys.marks;
    case 'add':
      return `${keys.jobPrefix}marker`;
    case 'confirm':
      return deadLetterKeys(keys).marks;
  }
}

/** A client that does something else first, when it comes to a step for the first time. */
export function clientThat(place: Place, step: Step, first: () => Promise<unknown>): Redis {
  const client = new Redis(place.redis);
  onTestFinished(() => client.disconnect());
  const send = client.sendCommand.bind(client);
  let came = false;
  client.sendCommand = (command, stream) => {
    const comes = !came && command.args.some((argument) => String(argument) === keyOf(place, step));
    if (!comes) return send(command, stream);
    came = true;
    return first().then(() => send(command, stream));
  };
  return client;
}
