import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type LocalServices, startLocalServices } from '../src/services/local-services.js';
import { backlogFigures, backlogTargets, backlogText } from './backlog/report.js';
import { runBacklog } from './backlog/run.js';
import { contendersOf } from './contenders/index.js';
import { graphSubjectsOf } from './graphs/index.js';
import { busyWarning, gitCommit, machineFacts } from './machine.js';
import { type BenchOptions, readOptions, USAGE, UsageError } from './options.js';
import { Place } from './place.js';
import { FULL, QUICK } from './plan.js';
import { benchRates, type RatesBench } from './rates/main.js';
import { ratiosOf, scenariosText, tableText, targetsText } from './report.js';
import { graphsText } from './report-graphs.js';
import { runRounds } from './rounds.js';
import { scenariosOf } from './scenarios/index.js';
import { generatedStates, type StateSet } from './states.js';
import { reportTargets } from './targets.js';
import { traceStates } from './traces.js';

/** States of the scenarios: small ones, so that what they measure is not lost in parsing JSON. */
const SCENARIO_STATE_BYTES = 1024;
/** As the file of `--json`: standard output. */
const PRINTED = '-';
const EXIT = { failed: 1, usage: 2, interrupted: 130 };

const began = performance.now();

/** Standard output is for the result alone. */
function say(message: string): void {
  const seconds = ((performance.now() - began) / 1000).toFixed(0).padStart(4);
  process.stderr.write(`${seconds} s  ${message}\n`);
}

async function main(signal: AbortSignal): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (!options) {
    console.log(USAGE);
    return;
  }
  if (options.rates) {
    await reportRates(options.rates, options, signal);
    return;
  }
  const services = await startLocalServices({ onProgress: say, signal });
  try {
    const place = new Place(services);
    try {
      if (options.backlogSaves === undefined) await bench(options, services, place, signal);
      else await benchBacklog(options.backlogSaves, options, services, place, signal);
    } finally {
      await place.remove();
    }
  } finally {
    await services.stop();
  }
}

async function bench(
  options: BenchOptions,
  services: LocalServices,
  place: Place,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = new Date().toISOString();
  const machine = machineFacts();
  const warning = busyWarning(machine);
  if (warning) say(warning);
  const plan = { ...(options.full ? FULL : QUICK), largeRows: options.largeRows };
  const contenders = contendersOf(options.only);
  const graphSubjects = graphSubjectsOf(options.only);
  const stateSets = contenders.length > 0 ? await stateSetsOf(options) : [];
  const running = { place, signal, onProgress: say };
  const contest = await runRounds({ ...running, subjects: contenders, stateSets, plan });
  const scenarios = scenariosOf(options.only);
  const scenarioResults = await runRounds({
    ...running,
    subjects: scenarios,
    stateSets: [generatedStates(SCENARIO_STATE_BYTES)],
    plan: { ...plan, rounds: plan.scenarioRounds, budgetSeconds: Number.POSITIVE_INFINITY },
  });
  const graphResults = await runRounds({
    ...running,
    subjects: graphSubjects,
    stateSets: options.sizes.map(generatedStates),
    plan: { ...plan, rounds: plan.graphRounds, budgetSeconds: Number.POSITIVE_INFINITY },
  });
  const results = [...contest, ...scenarioResults, ...graphResults];
  const targets = reportTargets(results);

  const texts = [
    ...(contenders.length > 0 ? [tableText(contest, contenders)] : []),
    ...(scenarios.length > 0 ? [scenariosText(scenarioResults, scenarios)] : []),
    ...(graphSubjects.length > 0 ? [graphsText(graphResults, graphSubjects)] : []),
    targetsText(targets),
  ];
  console.log(`\n${texts.join('\n\n')}\n`);
  if (warning) console.log(`  Beware: ${warning}.\n`);
  await writeReport(options, await servicesFacts(services, place), {
    startedAt,
    mode: options.full ? 'full' : 'quick',
    plan: { ...plan, budgetSeconds: Number.isFinite(plan.budgetSeconds) ? plan.budgetSeconds : null },
    machine,
    states: stateSets.map(({ name, meanBytes, steps }) => ({ name, meanBytes, different: steps.length })),
    subjects: Object.fromEntries(
      [...contenders, ...scenarios, ...graphSubjects].map(({ name, about }) => [name, about]),
    ),
    results: results.map((result) => ({ ...result, ratios: ratiosOf(results, result) })),
    targets,
  });
}

async function benchBacklog(
  saves: number,
  options: BenchOptions,
  services: LocalServices,
  place: Place,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = new Date().toISOString();
  const machine = machineFacts();
  const warning = busyWarning(machine);
  if (warning) say(warning);
  const backlog = await runBacklog({ place, saves, signal, onProgress: say });
  const figures = backlogFigures(backlog);
  const targets = backlogTargets(figures);
  console.log(`\n${backlogText(figures)}\n\n${targetsText(targets)}\n`);
  if (warning) console.log(`  Beware: ${warning}.\n`);
  const { producer, worker } = backlog;
  const samples = { producer: producer.samples, worker: worker.samples };
  await writeReport(options, await servicesFacts(services, place), {
    startedAt,
    mode: 'backlog',
    machine,
    figures,
    targets,
    samples,
  });
}

async function reportRates(name: RatesBench, options: BenchOptions, signal: AbortSignal): Promise<void> {
  const startedAt = new Date().toISOString();
  const machine = machineFacts();
  const warning = busyWarning(machine);
  if (warning) say(warning);
  const { quick, chart } = options;
  const { text, postgres, versions, result } = await benchRates(name, {
    quick,
    chart,
    signal,
    onProgress: say,
  });
  if (options.jsonFile !== PRINTED) {
    console.log(`\n${text}\n`);
    if (warning) console.log(`  Beware: ${warning}.\n`);
  }
  const services = { postgres, redis: 'local', ...versions };
  const mode = quick ? `${name}, quick` : name;
  await writeReport(options, services, { startedAt, mode, machine, ...result });
  say('done');
}

async function servicesFacts({ postgres, redis }: LocalServices, place: Place) {
  return { postgres, redis, ...(await place.serverVersions()) };
}

async function writeReport(
  { jsonFile }: BenchOptions,
  services: Record<string, string>,
  { startedAt, ...measured }: { startedAt: string; [name: string]: unknown },
): Promise<void> {
  const file = jsonFile ?? defaultFile(startedAt);
  const report = {
    startedAt,
    seconds: Math.round((performance.now() - began) / 1000),
    commit: await gitCommit(),
    services,
    ...measured,
  };
  const json = `${JSON.stringify(report, null, 2)}\n`;
  if (file === PRINTED) {
    process.stdout.write(json);
    return;
  }
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, json);
  say(`figures are in ${file}`);
}

async function stateSetsOf({ sizes, traceDir }: BenchOptions): Promise<StateSet[]> {
  const generated = sizes.map(generatedStates);
  if (traceDir !== undefined) return [...generated, await traceStates(traceDir)];
  say('no recorded traces: --trace DIR names a folder of them');
  return generated;
}

function defaultFile(startedAt: string): string {
  return fileURLToPath(new URL(`./results/${startedAt.replaceAll(':', '-')}.json`, import.meta.url));
}

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    say('interrupted: cleaning up');
    interruption.abort();
  });
}

main(interruption.signal).catch((error) => {
  if (error instanceof UsageError) {
    console.error(`${error.message}\n\n${USAGE}`);
    process.exitCode = EXIT.usage;
    return;
  }
  if (!(error instanceof Error && error.name === 'AbortError')) console.error(error);
  process.exitCode = interruption.signal.aborted ? EXIT.interrupted : EXIT.failed;
});
