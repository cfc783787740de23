import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import type { StoreUnderTest } from './checkpoint-store.js';

/** Names that something on the way could take for its own: SQL, JavaScript, COPY, Redis, UTF-8. */
const HOSTILE_NAMES = [
  `'; DROP TABLE checkpoints; --`,
  `"quoted" 'twice' $$dollar$$ $1`,
  '__proto__',
  'constructor',
  'toString',
  'emoji 😀 and 🏳️‍🌈',
  'line\nbreak\r\nand\ttab',
  'back\\slash \\n \\N \\. \\x41 \\u0000',
  '\\N',
  '\\.',
  ' spaces around ',
  '\u0001\u001a\u001f\u007f',
  '\ufeffmark \uffff \u2028',
  'w-1:bull:{tag}*',
  '%s %_ {}',
  'NULL',
];

export function itTakesHostileNames(underTest: StoreUnderTest): void {
  it.each(HOSTILE_NAMES)('takes %j as id, execution and node name', async (name) => {
    const { store, save } = underTest;
    await save({ id: name, executionId: name, nodeName: name, state: { [name]: name } });
    const loaded = await store.load(name);
    expect(loaded).toMatchObject({ id: name, executionId: name, nodeName: name });
    expect(Object.entries(loaded.state as object)).toEqual([[name, name]]);
    expect((await store.latest(name))?.id).toBe(name);
    expect((await store.list(name, { before: new Date(8e15) })).map(({ id }) => id)).toEqual([name]);
    await store.delete(name);
    await expect(store.load(name)).rejects.toMatchObject({ code: 'CHECKPOINT_NOT_FOUND', id: name });
    await store.clear(name);
  });

  it.each(['x', 'é', '€', '😀'])('takes names of 512 bytes made of %s', async (character) => {
    const { store, save } = underTest;
    const unique = randomUUID().slice(0, 8);
    const rest = 512 - unique.length;
    const count = Math.floor(rest / Buffer.byteLength(character));
    const name = (unique + character.repeat(count)).padEnd(unique.length + count * character.length, '.');
    const longest = name + '.'.repeat(512 - Buffer.byteLength(name));
    await save({ id: longest, executionId: longest, nodeName: longest, state: 0 });
    expect((await store.latest(longest))?.id).toBe(longest);
  });

  it('tells names apart that look alike', async () => {
    const { store, save } = underTest;
    const unique = randomUUID();
    const ids = ['é', 'e\u0301', 'É', 'e', ' e', 'e '].map((end) => unique + end);
    await save(...ids.map((id) => ({ id, executionId: unique, nodeName: '', state: id })));
    for (const id of ids) expect((await store.load(id)).state).toBe(id);
  });
}
