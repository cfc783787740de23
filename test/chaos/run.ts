import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { LocalServer } from '../../src/services/local-server.js';
import { FaultOracle } from '../faults/oracle.js';
import { countError, runPair, SECRET } from './agents.js';
import { Arena } from './arena.js';
import { Chance } from './chance.js';
import { Crew } from './crew.js';
import type { Fault } from './fault.js';
import { figuresByKind, figuresOf } from './fault-figures.js';
import { type FaultRecord, runFaultStream } from './fault-stream.js';
import { networkFaults } from './network-faults.js';
import { operatorFaults } from './operator-faults.js';
import { PoisonLedger } from './poison.js';
import { postgresFaults } from './postgres-faults.js';
import { processFaults } from './process-faults.js';
import { brokenOf, type Findings, noFindings } from './promises.js';
import { RecoveryProbe } from './recovery.js';
import { redisFaults } from './redis-faults.js';
import { RemoteError } from './remote-store.js';
import { runReplays } from './replays.js';
import type { ChaosReport } from './report.js';
import { rightsFaults } from './rights-faults.js';
import { Tally } from './tally.js';
import { unawaitedCalls } from './unawaited-calls.js';
import { type Checked, verify } from './verification.js';
import { Watch } from './watch.js';

export interface ChaosSettings {
  readonly minutes: number;
  readonly seed: number;
  /** Whether some dead letters are replayed, and refused again, meanwhile. */
  readonly replays: boolean;
  /** Whether rights of the Redis user are taken away and given back. */
  readonly rights: boolean;
  /** Whether operators and unawaited calls are left out. */
  readonly serversOnly: boolean;
  readonly onProgress: (message: string) => void;
  /** Aborted, no more faults are made, and the checks begin. */
  readonly signal: AbortSignal;
}

const PAIRS = 10;
const PROGRESS_MS = 10_000;
/** Nothing takes this long: a batch has two minutes, a delete ten seconds. */
const CALLS_END_MS = 150_000;

/** @throws what the signal was aborted with, before the faults began */
export async function runChaos(settings: ChaosSettings): Promise<ChaosReport> {
  const arena = await Arena.open(settings);
  try {
    settings.onProgress('starting workers and producers');
    const crew = await Crew.start(arena);
    const run = new ChaosRun(settings, arena, crew);
    try {
      return await run.report();
    } finally {
      await crew.close();
    }
  } finally {
    await arena.close();
  }
}

class ChaosRun {
  readonly #oracle = new FaultOracle();
  readonly #poison = new PoisonLedger();
  readonly #tally = new Tally();
  readonly #findings: Findings = noFindings();
  readonly #log: FaultRecord[] = [];
  readonly #startedAt = new Date();
  readonly #began = performance.now();

  constructor(
    private readonly settings: ChaosSettings,
    private readonly arena: Arena,
    private readonly crew: Crew,
  ) {}

  async report(): Promise<ChaosReport> {
    const { arena, crew, settings } = this;
    const attributesBefore = await arena.attributeBytes();
    const watch = new Watch(
      arena,
      { [crew.spared.name]: () => crew.spared.pid, [crew.lasting.store.name]: () => crew.lasting.store.pid },
      () => this.#now(),
    );
    const seconds = await this.#makeFaults().finally(() => watch.stop());
    await this.#giveBack();
    const witnesses = { oracle: this.#oracle, poison: this.#poison };
    const checked = await verify(arena, witnesses, this.#findings, settings.onProgress);
    const attributesAfter = await arena.attributeBytes();
    settings.onProgress('stopping');
    await crew.close();
    this.#gatherFindings();
    return this.#assemble(checked, watch, seconds, { before: attributesBefore, after: attributesAfter });
  }

  #now(): number {
    return Math.round(performance.now() - this.#began);
  }

  /** Load and faults. @returns seconds */
  async #makeFaults(): Promise<number> {
    const { arena, settings } = this;
    const probe = new RecoveryProbe(arena, this.#oracle);
    // Not AbortSignal.any with a timeout, which Node 20 may collect as garbage before it is over.
    const over = new AbortController();
    const end = () => over.abort();
    const timer = setTimeout(end, settings.minutes * 60_000);
    settings.signal.addEventListener('abort', end);
    if (settings.signal.aborted) end();
    const stop = new AbortController();
    setMaxListeners(0, over.signal, stop.signal);
    const load = this.#load(stop.signal);
    const progress = setInterval(() => settings.onProgress(this.#progressLine()), PROGRESS_MS);
    try {
      const streams = this.#streams(probe, over.signal);
      // A load that breaks off is the runner's own fault.
      await Promise.race([streams, load.then(() => streams)]);
      const seconds = Math.round(this.#now() / 1000);
      settings.onProgress('no more faults');
      stop.abort();
      await this.#endOf(load);
      return seconds;
    } finally {
      end();
      stop.abort();
      settings.signal.removeEventListener('abort', end);
      clearTimeout(timer);
      clearInterval(progress);
      await probe.close();
    }
  }

  /** Waits for calls that are under way, but not for ever. */
  async #endOf(load: Promise<void>): Promise<void> {
    const patience = new AbortController();
    const late = delay(CALLS_END_MS, true, { signal: patience.signal }).catch(() => false);
    if (await Promise.race([load.then(() => false), late]))
      this.#findings.hung.push(`calls that had not ended after ${CALLS_END_MS / 1000} s`);
    patience.abort();
  }

  async #load(signal: AbortSignal): Promise<void> {
    const { arena, crew, settings } = this;
    const world = {
      producers: crew.producers,
      oracle: this.#oracle,
      poison: this.#poison,
      tally: this.#tally,
      signal,
    };
    const pairs = Array.from({ length: PAIRS }, (_, index) =>
      runPair(new Chance(settings.seed, `pair ${index}`), world),
    );
    const replays = new Chance(settings.seed, 'replays');
    const replaying = settings.replays ? [runReplays(arena, replays, this.#tally, signal)] : [];
    await Promise.all([...pairs, ...replaying]);
  }

  /** Servers, network and processes fail, and operators act, at the same time, each on its own. */
  async #streams(probe: RecoveryProbe, signal: AbortSignal): Promise<void> {
    const { arena, crew, settings } = this;
    const chanceOf = (name: string) => new Chance(settings.seed, name);
    const [servers, network, processes] = [chanceOf('servers'), chanceOf('network'), chanceOf('processes')];
    const [operators, rights] = [chanceOf('operators'), chanceOf('rights')];
    const streams = [
      { chance: servers, drawers: [...redisFaults(arena, servers), ...postgresFaults(arena, servers)] },
      {
        chance: network,
        drawers: [
          ...networkFaults(crew.lines, network),
          ...(settings.serversOnly ? [] : [this.#unawaited(network)]),
        ],
      },
      { chance: processes, drawers: processFaults(crew.workers, crew.killed.store, processes) },
      ...(settings.serversOnly ? [] : [{ chance: operators, drawers: operatorFaults(arena, operators) }]),
      ...(settings.rights ? [{ chance: rights, drawers: rightsFaults(arena, rights) }] : []),
    ];
    const onFault = ({ kind, detail }: FaultRecord) => settings.onProgress(`fault: ${kind}, ${detail}`);
    const shared = { probe, log: this.#log, signal, now: () => this.#now(), onFault };
    await Promise.all(streams.map((stream) => runFaultStream({ ...stream, ...shared })));
  }

  #unawaited(chance: Chance): () => Fault {
    const { crew } = this;
    const fragile = crew.producers.map((producer) => ({ producer, line: crew.lineOf(producer) }));
    return unawaitedCalls(fragile, this.#oracle, chance, (call, error) => {
      if (!(error instanceof RemoteError)) throw error;
      countError(this.#tally, call, error);
    });
  }

  /** What a fault that broke off has left. */
  async #giveBack(): Promise<void> {
    const { arena, crew } = this;
    const running = async (server: LocalServer) => {
      await server.kill('SIGCONT');
      if (server.pid === undefined) await server.restart();
    };
    await Promise.all([running(arena.redis), running(arena.postgres)]);
    for (const slot of crew.slots) slot.resume();
    await Promise.all(crew.slots.map((slot) => slot.ready()));
  }

  #progressLine(): string {
    const { calls, errors } = this.#tally;
    const sum = (counts: Map<string, number>) =>
      [...counts.values()].reduce((total, count) => total + count, 0);
    return `${this.#oracle.acknowledged} acknowledged, ${sum(calls)} calls, ${sum(errors)} errors, ${this.#log.length} faults, ${this.#tally.misreads.length + this.#tally.unforeseen.length} complaints`;
  }

  #gatherFindings(): void {
    const { crew } = this;
    const findings = this.#findings;
    findings.misreads.push(...this.#tally.misreads);
    findings.unforeseen.push(...this.#tally.unforeseen);
    findings.late.push(...this.#tally.late);
    findings.crashes.push(...crew.crashes);
    findings.told.push(
      ...crew.output.filter((line) => line.includes(SECRET)).map((line) => line.slice(0, 200)),
    );
    for (const { kind, detail, began, error, commitMs, backlogMs, stuck } of this.#log) {
      const name = `${kind} (${detail}) at ${(began / 1000).toFixed(1)} s`;
      if (error !== undefined) findings.notMade.push(`${name}: ${error}`);
      if (commitMs === undefined) findings.notRecovered.push(`${name}: nothing new was committed`);
      else if (backlogMs === undefined) {
        findings.notRecovered.push(`${name}: the backlog was not committed: ${stuck?.join('; ')}`);
      }
    }
  }

  #assemble(
    checked: Checked,
    watch: Watch,
    seconds: number,
    attributeBytes: ChaosReport['attributeBytes'],
  ): ChaosReport {
    const { settings, crew } = this;
    return {
      seed: settings.seed,
      minutes: settings.minutes,
      startedAt: this.#startedAt.toISOString(),
      seconds,
      interrupted: settings.signal.aborted,
      broken: brokenOf(this.#findings),
      findings: this.#findings,
      acknowledged: this.#oracle.acknowledged,
      ...checked,
      calls: Object.fromEntries(this.#tally.calls),
      errors: Object.fromEntries(this.#tally.errors),
      slowestSaveMs: this.#tally.slowestSaveMs,
      deepestQueue: watch.deepestQueue,
      kills: this.#kills(),
      workersStarted: Object.fromEntries(crew.slots.map(({ name, spawned }) => [name, spawned])),
      faults: { all: figuresOf(this.#log), byKind: figuresByKind(this.#log) },
      memory: watch.memory,
      attributeBytes,
      log: this.#log,
    };
  }

  /** Ends of processes and servers by force, by what ended them. */
  #kills(): Record<string, number> {
    const kills: Record<string, number> = {};
    for (const { kind } of this.#log) {
      if (/kill|down|dies|terminated/.test(kind)) kills[kind] = (kills[kind] ?? 0) + 1;
    }
    return kills;
  }
}
