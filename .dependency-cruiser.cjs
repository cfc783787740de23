/** Imports point one way: each layer may import those below it in this list, never those above. */
const LAYERS = [
  'src/cli',
  'workers',
  'src/index',
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
        'Local services are for demo, tests and benchmarks; their packages are imported when they are used.',
      severity: 'error',
      from: { path: '^(src|workers)', pathNot: '^src/services' },
      to: { dependencyTypes: ['npm-dev'] },
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
