import { CommandError } from '../command.js';

/** What runs graphs. Loaded only when it is asked for, as LangGraph is optional. @throws CommandError that says what to install */
export async function loadGraphModule() {
  try {
    return await import('./langgraph/graph-load.js');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes('@langchain/')) throw error;
    throw new CommandError(
      '--langgraph needs LangGraph.js, which is not installed: ' +
        'npm install @langchain/langgraph @langchain/langgraph-checkpoint @langchain/core',
      'LANGGRAPH_MISSING',
    );
  }
}
