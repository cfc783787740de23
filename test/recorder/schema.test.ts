import { expect, it } from 'vitest';
import { z } from 'zod';
import { CheckpointRecorder, MemoryCheckpointStore, StateMismatchError } from '../../src/index.js';
import { newExecution } from '../contract/checkpoints.js';
import { everythingIn, rejectionOf } from '../quiet.js';
import { testRecorder } from './recorders.js';

const SECRET = 'secret-of-the-state';
const schema = z.object({
  startedAt: z.coerce.date(),
  messages: z.array(z.object({ role: z.enum(['user', 'agent']), text: z.string() })).default([]),
});
type State = z.infer<typeof schema>;

/** A run whose newest state is this one, whatever type it has. */
async function recorded(state: unknown) {
  const store = new MemoryCheckpointStore();
  const untyped = testRecorder({ store, executionId: newExecution() });
  const { id } = await untyped.save('node', state);
  return { store, id, recorder: testRecorder({ store, executionId: untyped.executionId, schema }) };
}

it('turns the JSON into the type of the caller', async () => {
  const state: State = { startedAt: new Date(0), messages: [{ role: 'user', text: 'hello' }] };
  const { recorder } = await recorded(state);

  const resumed = await recorder.resume();

  // The type comes from the schema: this does not compile otherwise.
  const startedAt: Date | undefined = resumed?.state.startedAt;
  expect(startedAt).toEqual(new Date(0));
  expect(resumed?.state).toEqual(state);
  expect(resumed?.checkpoint.state, 'as it is stored').toMatchObject({
    startedAt: '1970-01-01T00:00:00.000Z',
  });
});

it.each<[path: string, state: unknown]>([
  ['state', SECRET],
  ['state.startedAt', { startedAt: SECRET, messages: [] }],
  [
    'state.messages[1].role',
    {
      startedAt: 0,
      messages: [
        { role: 'user', text: '' },
        { role: SECRET, text: '' },
      ],
    },
  ],
])('says that a state does not fit at %s, and no value of it', async (path, state) => {
  const { recorder, id } = await recorded(state);

  const error = await rejectionOf(recorder.resume());

  expect(error).toBeInstanceOf(StateMismatchError);
  expect(error).toMatchObject({ code: 'STATE_MISMATCH', path, id });
  expect((error as Error).message).toContain(`at ${path}`);
  expect(everythingIn(error)).not.toContain(SECRET);
});

it('cuts long keys in the path, and quotes strange ones', async () => {
  const store = new MemoryCheckpointStore();
  const counts = z.record(z.string(), z.number());
  const recorder = new CheckpointRecorder({ store, schema: counts });
  for (const [key, path] of [
    ['a key', 'state["a key"]'],
    ['k'.repeat(1000), `state["${'k'.repeat(40)}…"]`],
  ] as const) {
    await recorder.save('node', { [key]: SECRET } as never);
    expect(await rejectionOf(recorder.resume())).toMatchObject({ path });
  }
});

it('goes on from an older checkpoint that fits', async () => {
  const { recorder, store } = await recorded({ startedAt: 0 });
  const [fits] = await recorder.list();
  await testRecorder({ store, executionId: recorder.executionId }).save('node', 'does not fit');
  await expect(recorder.resume()).rejects.toMatchObject({ code: 'STATE_MISMATCH' });
  expect((await recorder.resume(fits?.id as string)).state).toEqual({ startedAt: new Date(0), messages: [] });
});

it('gives the reducer the type of the caller, and saves no state that would not fit', async () => {
  const { recorder } = await recorded({ startedAt: 0 });
  await recorder.updateState('a day later', 'human', (state) => ({
    startedAt: new Date((state?.startedAt.getTime() ?? 0) + 86_400_000),
    messages: [],
  }));
  expect((await recorder.resume())?.state.startedAt).toEqual(new Date(86_400_000));

  const error = await rejectionOf(recorder.updateState({ messages: SECRET }, 'human'));
  expect(error).toMatchObject({ code: 'STATE_MISMATCH', path: 'state.messages', id: undefined });
  expect(everythingIn(error)).not.toContain(SECRET);
  expect(await recorder.list()).toHaveLength(2);
});

it('keeps in an update what the schema does not know', async () => {
  const { recorder } = await recorded({ startedAt: 0, ofALaterRelease: true });
  await recorder.updateState({ messages: [] }, 'human');
  expect((await recorder.latest())?.state).toEqual({ startedAt: 0, ofALaterRelease: true, messages: [] });
});
