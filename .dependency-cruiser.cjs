/** Imports point one way: each layer may import those below it in this list, never those above. */
const LAYERS = [
  'src/cli',
  'workers',
  'src/index',
  'src/doctor',
  'src/langgraph',
  'src/recorder',
  'src/dead-letters',
  'src/store',
  'src/producer',
  'src/writer',
  'src/retention',
  'src/postgres',
  'src/redis',
  'src/chunk',
  'src/checkpoint',
];

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-dev-dependencies',
      comment:
        'Local services are for demo, tests and benchmarks; their packages are imported when they are used. LangGraph is an ' +
        'optional peer of its own entry.',
      severity: 'error',
      from: { path: '^(src|workers)', pathNot: '^src/(services|langgraph)' },
      to: { dependencyTypes: ['npm-dev'] },
    },
    {
      name: 'nothing but the entry for LangGraph loads it',
      severity: 'error',
      from: { path: '^(workers|src/index|src/cli)' },
      to: { path: 'node_modules/@langchain', reachable: true },
    },
    {
      name: 'the recorder works on any store',
      severity: 'error',
      from: { path: '^src/recorder/' },
      to: {
        path: '^(src|workers)/',
        pathNot: '^src/(recorder/|(store/checkpoint-store|checkpoint|errors|json)\\.ts$)',
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
