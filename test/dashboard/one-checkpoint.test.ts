import { describe, expect, it } from 'vitest';
import { newCheckpoint, newExecution } from '../contract/checkpoints.js';
import { at, shown, stored, timelineOf } from './browsing.js';

describe('one checkpoint', () => {
  it('has its state, and what changed since the one before it', async () => {
    const executionId = newExecution();
    const { dashboard } = await stored([
      {
        id: '1',
        executionId,
        nodeName: 'a',
        timestamp: at(1),
        state: { step: 1, messages: [{ role: 'user' }] },
      },
      {
        ...{ id: '2', executionId, nodeName: 'b', timestamp: at(2), version: 7, metadata: { by: 'me' } },
        state: { step: 2, messages: [{ role: 'user' }, { role: 'agent' }], nul: 'U+0000: \0' },
      },
    ]);
    const second = await shown(dashboard, executionId, '2');
    expect(second).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } });
    expect(second.body).toEqual({
      checkpoint: {
        ...{ id: '2', executionId, nodeName: 'b', timestamp: at(2).toISOString(), version: 7 },
        state: { step: 2, messages: [{ role: 'user' }, { role: 'agent' }], nul: 'U+0000: \0' },
        metadata: { by: 'me' },
      },
      previous: '1',
      changes: expect.arrayContaining([
        { path: ['step'], kind: 'changed', before: 1, after: 2 },
        { path: ['messages', 1], kind: 'added', after: { role: 'agent' } },
        { path: ['nul'], kind: 'added', after: 'U+0000: \0' },
      ]),
      truncated: false,
    });
    expect((await shown(dashboard, executionId, '1')).body).toMatchObject({ previous: null, changes: [] });
  });

  it('is found whatever characters its names have', async () => {
    const names = ['a/b', 'a%2Fb', '../x', '?#&=+ ', 'ä€𝄞', '"<b>', `:${'x'.repeat(511)}`, '€'.repeat(170)];
    const { dashboard } = await stored(
      names.map((name) => newCheckpoint({ id: name, executionId: name, state: { name } })),
    );
    for (const name of names) {
      const { status, body } = await shown(dashboard, name, name);
      expect({ status, state: body.checkpoint?.state }).toEqual({ status: 200, state: { name } });
      expect((await timelineOf(dashboard, name)).body.checkpoints).toMatchObject([{ id: name }]);
    }
  });

  it('is not found in another execution, nor where it is not', async () => {
    const { dashboard } = await stored([newCheckpoint({ id: 'a', executionId: 'run' })]);
    for (const [executionId, id] of [
      ['other', 'a'],
      ['run', 'b'],
    ] as const) {
      expect(await shown(dashboard, executionId, id)).toMatchObject({
        status: 404,
        body: { error: { code: 'CHECKPOINT_NOT_FOUND' } },
      });
    }
  });

  it('of more than a few megabytes is not shown', async () => {
    const executionId = newExecution();
    const { dashboard } = await stored([
      { id: 'large', executionId, nodeName: 'a', timestamp: at(1), state: 'x'.repeat(4 * 1024 * 1024) },
      { id: 'small', executionId, nodeName: 'a', timestamp: at(2), state: 1 },
    ]);
    for (const id of ['large', 'small']) {
      expect(await shown(dashboard, executionId, id)).toMatchObject({
        status: 413,
        body: { error: { code: 'STATE_TOO_LARGE' } },
      });
    }
    expect((await timelineOf(dashboard, executionId)).body.checkpoints).toHaveLength(2);
  });
});
