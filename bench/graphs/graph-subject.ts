import type { Subject } from '../subject.js';

/** Connections that LangGraph's own saver is given: it counts with whichever of them is best at a figure. */
export const OFFICIAL_POOL_SIZES = [10, 16, 32] as const;

type OfficialName = `official-${(typeof OFFICIAL_POOL_SIZES)[number]}`;
export const OFFICIAL_NAMES = OFFICIAL_POOL_SIZES.map((size) => `official-${size}` as OfficialName);

/** In the order of the table. */
export const GRAPH_SUBJECT_NAMES = ['queued-saver', ...OFFICIAL_NAMES, 'memory-saver'] as const;
export type GraphSubjectName = (typeof GRAPH_SUBJECT_NAMES)[number];

/** One checkpointer of LangGraph. */
export type GraphSubject = Subject<GraphSubjectName>;
