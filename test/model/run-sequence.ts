import { setTimeout as delay } from 'node:timers/promises';
import { monthsOn } from '../months.js';
import type { Answer, Content, Failure, History, Operation, Read, Removal, Save } from './history.js';
import { ProducerError } from './producer.js';
import type { Command } from './producer-process.js';
import { HOME, type Sequence, type Step } from './steps.js';
import { MAX_QUEUED_BYTES, type World } from './world.js';

type SaveStep = Extract<Step, { kind: 'save' }>;

/** Executes a sequence on names of its own and gives what happened. */
export async function runSequence(world: World, { steps, again, delays }: Sequence): Promise<History> {
  world.dice.reseed(delays);
  world.redelivery.forget();
  const running = new Running(world);
  await Promise.all(world.producers.map((producer) => producer.ask({ type: 'forget' })));
  for (const step of steps) {
    if (step.pauseMs > 0) await delay(step.pauseMs);
    const done = running.begin(step);
    if (step.wait === 'own') await done;
    if (step.wait === 'all') await running.settled();
  }
  return running.end(again);
}

class Running {
  readonly #prefix: string;
  readonly #saves: Save[] = [];
  readonly #removals: Removal[] = [];
  readonly #reads: Read[] = [];
  readonly #answers: Answer[] = [];
  readonly #failures: Failure[] = [];
  readonly #pending = new Set<Promise<void>>();
  readonly #redelivered = new Set<string>();
  #time = 0;
  #begun = 0;

  constructor(private readonly world: World) {
    this.#prefix = world.nextPrefix();
  }

  begin(step: Step): Promise<void> {
    const done = this.#execute(step).finally(() => this.#pending.delete(done));
    this.#pending.add(done);
    return done;
  }

  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  /** Waits until every job is done, delivers some of them again, and looks. */
  async end(again: readonly boolean[]): Promise<History> {
    const { redelivery } = this.world;
    await this.settled();
    await Promise.all(this.#saves.map((save) => this.#askReceipt(save, false)));
    const jobs = redelivery.jobsOf(this.#prefix);
    const chosen = jobs.filter((_, index) => again[index % again.length]);
    await Promise.all([...chosen, ...this.#redelivered].map((jobId) => redelivery.gone(jobId)));
    for (const jobId of chosen) await redelivery.again(jobId);
    await Promise.all(chosen.map((jobId) => redelivery.gone(jobId)));
    const queued = this.#saves.filter(({ token }) => !this.#direct.has(token));
    await Promise.all(queued.map((save) => this.#askReceipt(save, true)));
    return {
      saves: this.#saves,
      removals: this.#removals,
      reads: this.#reads,
      answers: this.#answers,
      failures: this.#failures,
      rows: await this.world.rows(this.#prefix),
    };
  }

  /** Saves that bypassed the queue: their receipts tell what became of them then, not what is stored now. */
  readonly #direct = new Set<string>();

  async #execute(step: Step): Promise<void> {
    switch (step.kind) {
      case 'save':
        return this.#save(step);
      case 'delete':
      case 'clear': {
        const scope = step.kind === 'delete' ? 'checkpoint' : 'execution';
        const key = this.#prefix + (step.kind === 'delete' ? step.id : step.execution);
        const ended = await this.#ask(step.producer, `${step.kind} ${key}`, { type: step.kind, key });
        if (ended) this.#removals.push({ scope, key, ...ended.operation });
        return;
      }
      case 'redeliver':
        return this.#redeliver(step.which);
      default:
        return this.#read(step);
    }
  }

  async #save({ producer, id, version, at, large, ask }: SaveStep): Promise<void> {
    const content: Content = {
      token: `${this.#prefix}${++this.#begun}`,
      id: this.#prefix + id,
      executionId: this.#prefix + HOME[id],
      version,
      timestamp: monthsOn(2 + at).getTime(),
    };
    const padding = large ? MAX_QUEUED_BYTES : 0;
    if (large) this.#direct.add(content.token);
    const what = `save ${content.token}`;
    const ended = await this.#ask<number>(producer, what, { type: 'save', checkpoint: content, padding });
    if (!ended) return;
    const save = { ...content, sequence: ended.value, ...ended.operation };
    this.#saves.push(save);
    if (ask) this.#track(this.#askReceipt(save, false));
  }

  async #read(step: Extract<Step, { kind: 'load' | 'latest' | 'list' }>): Promise<void> {
    const view = step.kind;
    const executionId = this.#prefix + (step.kind === 'load' ? HOME[step.id] : step.execution);
    const key = step.kind === 'load' ? this.#prefix + step.id : executionId;
    const command: Command = { type: step.kind, key, executionId };
    const ended = await this.#ask<Content[]>(step.producer, `${view} ${key}`, command);
    if (ended) this.#reads.push({ view, key, shown: ended.value, ...ended.operation });
  }

  async #askReceipt({ token, producer, called }: Save, final: boolean): Promise<void> {
    const what = `the receipt of ${token}`;
    const ended = await this.#ask<Answer['outcome']>(producer, what, { type: 'outcome', token });
    if (!ended) return;
    const operation = this.#direct.has(token) ? { ...ended.operation, called } : ended.operation;
    this.#answers.push({ token, outcome: ended.value, final, ...operation });
  }

  async #redeliver(which: number): Promise<void> {
    const jobs = this.world.redelivery.jobsOf(this.#prefix);
    const jobId = jobs[which % jobs.length];
    if (jobId && (await this.world.redelivery.again(jobId))) this.#redelivered.add(jobId);
  }

  #track(work: Promise<void>): void {
    const done = work.finally(() => this.#pending.delete(done));
    this.#pending.add(done);
  }

  async #ask<Value>(
    producer: number,
    what: string,
    command: Command,
  ): Promise<{ value: Value; operation: Operation } | undefined> {
    const called = ++this.#time;
    const operation = () => ({ producer, called, returned: ++this.#time });
    try {
      const value = await (this.world.producers[producer] as World['producers'][number]).ask<Value>(command);
      return { value, operation: operation() };
    } catch (error) {
      if (!(error instanceof ProducerError)) throw error;
      this.#failures.push({ what, code: error.code, ...operation() });
      return undefined;
    }
  }
}
