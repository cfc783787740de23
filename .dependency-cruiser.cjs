/** Imports point one way: each layer may import those below it in this list, never those above. */
const LAYERS = [
  'src/cli',
  'workers',
  'src/dashboard',
  'src/index',
  'src/doctor',
  'src/repair',
  'src/langgraph',
  'src/recorder',
  'src/dead-letters',
  'src/store',
  'src/producer',
  'src/writer',
  'src/retention',
  'src/postgres',
  'src/redis',
  'src/http',
  'src/chunk',
  'src/checkpoint',
];

/** Runs graphs; loaded on demand. */
const GRAPH_DEMO = 'cli/demo/langgraph';
/** What a worker needs to write LangGraph's tables. */
const GRAPH_SINK = '^src/langgraph/graph-(sink|record|body)';

/** What a worker needs to see whether it may serve the dashboard. */
const DASHBOARD_SETTINGS = '^src/dashboard/access\\.ts$';

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-dev-dependencies',
      comment:
        'Local services are for demo, tests and benchmarks; their packages are imported when they are used. LangGraph is an ' +
        'optional peer.',
      severity: 'error',
      from: { path: '^(src|workers)', pathNot: `^src/(services|langgraph|${GRAPH_DEMO})` },
      to: { dependencyTypes: ['npm-dev'] },
    },
    // What starts must not need LangGraph: it is loaded by its own entry, and by the demonstration when that is to run graphs.
    {
      name: 'nothing but the entry and the demonstration for LangGraph imports it',
      severity: 'error',
      from: { path: '^(src|workers)', pathNot: `^src/(langgraph|${GRAPH_DEMO})/` },
      to: { path: 'node_modules/@langchain' },
    },
    {
      name: 'what imports LangGraph is imported only when it is used',
      severity: 'error',
      from: { path: '^(src|workers)', pathNot: `^src/(langgraph|${GRAPH_DEMO})/` },
      to: { path: `^src/(langgraph|${GRAPH_DEMO})/`, pathNot: GRAPH_SINK, dynamic: false },
    },
    {
      name: 'the sink for LangGraph, and all that has no part in it, get by without LangGraph',
      severity: 'error',
      from: { path: [GRAPH_SINK, '^(workers|src/index)'] },
      to: { path: 'node_modules/@langchain', reachable: true },
    },
    // A worker that serves no dashboard does not even load it.
    {
      name: 'the dashboard is imported only when it is used',
      severity: 'error',
      from: { path: '^(src|workers)/', pathNot: '^src/dashboard/' },
      to: {
        path: '^src/dashboard/',
        pathNot: DASHBOARD_SETTINGS,
        dynamic: false,
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'the check of its settings gets by without it',
      severity: 'error',
      from: { path: DASHBOARD_SETTINGS },
      to: { path: 'node_modules/@bull-board|^src/http/', reachable: true },
    },
    {
      name: 'the recorder works on any store',
      severity: 'error',
      from: { path: '^src/recorder/' },
      to: {
        path: '^(src|workers)/',
        pathNot:
          '^src/(recorder/|(store/checkpoint-store|checkpoint|close-options|errors|json|known-keys|numbers|pending-memory)\\.ts$)',
      },
    },
    ...LAYERS.slice(1).map((layer, index) => ({
      name: `${layer} imports no layer above it`,
      severity: 'error',
      from: { path: `^${layer}` },
      to: { path: LAYERS.slice(0, index + 1).map((above) => `^${above}`) },
    })),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js'] },
  },
};
