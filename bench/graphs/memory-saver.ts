import { MemorySaver } from '@langchain/langgraph';
import type { GraphSubject } from './graph-subject.js';
import { runGraphs } from './measure.js';

/** No run of a graph takes less. */
export const memorySaver: GraphSubject = {
  name: 'memory-saver',
  about: "LangGraph's MemorySaver, in the same process: what the graph itself takes",
  async measure(run) {
    const { runsMs } = await runGraphs(run, new MemorySaver());
    return { runsMs };
  },
};
