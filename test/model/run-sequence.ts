import { setTimeout as delay } from 'node:timers/promises';
import { monthsOn } from '../months.js';
import { mayBeStored } from './doubt.js';
import {
  type Answer,
  type Content,
  type Disturbance,
  type DoubtfulSave,
  type Failure,
  type History,
  NO_PRODUCER,
  type Operation,
  type Read,
  type Removal,
  type Save,
} from './history.js';
import { ProducerError } from './producer.js';
import type { Command } from './producer-process.js';
import { HOME, type Sequence, type Step } from './steps.js';
import { MAX_QUEUED_BYTES, type World } from './world.js';

type SaveStep = Extract<Step, { kind: 'save' }>;
type RemovalStep = Extract<Step, { kind: 'delete' | 'clear' }>;
type DamageStep = Extract<Step, { kind: 'damage key' | 'damage letter' | 'damage row' }>;

/** Executes a sequence on names of its own and gives what happened. */
export async function runSequence(world: World, { steps, again, delays }: Sequence): Promise<History> {
  world.dice.reseed(delays);
  world.redelivery.forget();
  const running = new Running(world);
  await Promise.all(world.producers.map((producer) => producer.ask({ type: 'forget' })));
  for (const step of steps) {
    if (step.pauseMs > 0) await delay(step.pauseMs);
    // What is saved meanwhile under the same id would give way to the damaged number.
    const alone = step.kind === 'damage row';
    if (alone) await running.quiet();
    const done = running.begin(step);
    if (step.wait === 'own' || alone) await done;
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
  readonly #disturbances: Disturbance[] = [];
  readonly #doubtful: DoubtfulSave[] = [];
  readonly #accepted: string[] = [];
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

  /** Resolves when all that was called has ended, and is committed. */
  async quiet(): Promise<void> {
    await this.settled();
    await this.world.cutNoMore();
    await this.world.quiet(this.#prefix);
  }

  /** Waits until every job is done, delivers some of them again, and looks. */
  async end(again: readonly boolean[]): Promise<History> {
    const { redelivery } = this.world;
    await this.quiet();
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
      disturbances: this.#disturbances,
      doubtful: this.#doubtful,
      accepted: this.#accepted,
      rows: await this.world.rows(this.#prefix),
    };
  }

  /** Saves that bypassed the queue: their receipts tell what became of them then, not what is stored now. */
  readonly #direct = new Set<string>();
  /** Saves of another program: they have no receipts. */
  readonly #foreign = new Set<string>();

  async #execute(step: Step): Promise<void> {
    switch (step.kind) {
      case 'save':
        return this.#save(step);
      case 'delete':
      case 'clear':
        return this.#remove(step);
      case 'redeliver':
        return this.#redeliver(step.which);
      case 'cut':
        this.#disturbances.push({ kind: 'cut', ...this.#moment(step.producer) });
        return this.world.cut(step.producer, step.bytes, step.direction);
      case 'operate':
        return this.world.operator.act(step.act);
      case 'damage key':
      case 'damage letter':
      case 'damage row':
        return this.#damage(step);
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
    if ('code' in ended) {
      if (mayBeStored(ended, this.#disturbances)) this.#doubtful.push({ ...content, ...ended });
      return;
    }
    const save = { ...content, sequence: ended.value, ...ended.operation };
    this.#saves.push(save);
    if (ask) this.#track(this.#askReceipt(save, false));
  }

  async #remove(step: RemovalStep): Promise<void> {
    const scope = step.kind === 'delete' ? 'checkpoint' : 'execution';
    const key = this.#prefix + (step.kind === 'delete' ? step.id : step.execution);
    const ended = await this.#ask(step.producer, `${step.kind} ${key}`, { type: step.kind, key });
    if ('code' in ended) this.#removals.push({ scope, key, failed: true, ...ended });
    else this.#removals.push({ scope, key, ...ended.operation });
  }

  async #damage(step: DamageStep): Promise<void> {
    const { damage } = this.world;
    if (step.kind === 'damage row') return this.#damageRow(step);
    if (step.kind === 'damage letter') {
      const refused = await damage.letter(step.number, `${this.#prefix}a`, `${this.#prefix}${HOME.a}`);
      if (!refused) this.#accepted.push(`a dead letter with the sequence ${step.number} was imported`);
      return;
    }
    const called = ++this.#time;
    await damage.lastSequence(step.number);
    this.#disturbances.push({ kind: 'damage', producer: NO_PRODUCER, called, returned: ++this.#time });
  }

  /** Saved by another program, and numbered anew by the repair: as if it had been saved then. */
  async #damageRow({ producer, which, number }: Extract<Step, { kind: 'damage row' }>): Promise<void> {
    const rows = await this.world.rows(this.#prefix);
    const row = rows[which % rows.length];
    if (!row) return;
    const called = ++this.#time;
    const token = `${this.#prefix}${++this.#begun}`;
    this.#foreign.add(token);
    await this.world.damage.row(number, row.id, token);
    try {
      await this.world.producers[producer]?.ask({ type: 'delete', key: row.id });
      this.#accepted.push(`${row.id} was deleted with the sequence ${number}`);
    } catch (error) {
      if (!(error instanceof ProducerError) || error.code !== 'SEQUENCE_OUT_OF_RANGE') throw error;
    }
    await this.world.damage.mend();
    const mended = (await this.world.rows(this.#prefix)).find(({ id }) => id === row.id);
    if (mended?.token !== token) {
      this.#accepted.push(`${row.id} is not what it was when its sequence was damaged`);
      return;
    }
    this.#saves.push({ ...mended, producer: NO_PRODUCER, called, returned: ++this.#time });
  }

  async #read(step: Extract<Step, { kind: 'load' | 'latest' | 'list' }>): Promise<void> {
    const view = step.kind;
    const executionId = this.#prefix + (step.kind === 'load' ? HOME[step.id] : step.execution);
    const key = step.kind === 'load' ? this.#prefix + step.id : executionId;
    const command: Command = { type: step.kind, key, executionId };
    const ended = await this.#ask<Content[]>(step.producer, `${view} ${key}`, command);
    if ('value' in ended) this.#reads.push({ view, key, shown: ended.value, ...ended.operation });
  }

  async #askReceipt({ token, producer, called }: Save, final: boolean): Promise<void> {
    if (this.#foreign.has(token)) return;
    const what = `the receipt of ${token}`;
    const ended = await this.#ask<Answer['outcome']>(producer, what, { type: 'outcome', token });
    if ('code' in ended) return;
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
  ): Promise<{ value: Value; operation: Operation } | Failure> {
    const called = ++this.#time;
    const operation = () => ({ producer, called, returned: ++this.#time });
    try {
      const value = await (this.world.producers[producer] as World['producers'][number]).ask<Value>(command);
      return { value, operation: operation() };
    } catch (error) {
      if (!(error instanceof ProducerError)) throw error;
      const failure = { what, code: error.code, ...operation() };
      this.#failures.push(failure);
      return failure;
    }
  }

  #moment(producer: number): Operation {
    return { producer, called: ++this.#time, returned: ++this.#time };
  }
}
