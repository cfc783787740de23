import { describe, expect, it } from 'vitest';
import { resultOf, spawnForTest } from '../child-process.js';

/** A loader for a program in which LangChain's packages are not installed, which they need not be. */
const WITHOUT_LANGCHAIN = `
  export async function resolve(specifier, context, next) {
    if (specifier.startsWith('@langchain/')) throw new Error('not installed: ' + specifier);
    return next(specifier, context);
  }`;

/** What a program that imports this module says in the end. */
async function importing(module: string): Promise<string> {
  const program = `
    import { register } from 'node:module';
    register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(WITHOUT_LANGCHAIN)}`)});
    try {
      await import(${JSON.stringify(new URL(module, import.meta.url).href)});
      console.log('imported');
    } catch (error) {
      console.log(error.message);
    }`;
  const args = ['--import', 'tsx', '--input-type=module', '--eval', program];
  const { stdout } = await resultOf(spawnForTest(process.execPath, args));
  return stdout.trim();
}

describe('without the packages of LangChain', () => {
  it.each(['../../src/index.ts', '../../workers/checkpoint-worker.ts'])(
    '%s can be imported',
    async (module) => {
      expect(await importing(module)).toBe('imported');
    },
  );

  it('the entry of the saver cannot, and nothing else needs them', async () => {
    expect(await importing('../../src/langgraph/index.ts')).toMatch(/^not installed: @langchain\//);
  });
});
