import type { SerializedError } from 'vitest';
import type { Reporter, TestModule, Vitest } from 'vitest/node';

/**
 * Prints `N passed, N failed` (and `, N skipped` if there are any) as the very last line of a run, for people and
 * programs that look at nothing else. Files that do not load and errors outside of tests count as failed. A run in
 * which no test ran has failed.
 */
export default class SummaryReporter implements Reporter {
  #passed = 0;
  #failed = 0;
  #skipped = 0;

  onInit(vitest: Vitest): void {
    if (vitest.config.watch) return;
    // At the exit of the process, because the teardown of the services may still print something after the run.
    process.once('exit', () => {
      if (this.#passed + this.#failed === 0) process.exitCode = 1;
      const skipped = this.#skipped > 0 ? `, ${this.#skipped} skipped` : '';
      process.stdout.write(`${this.#passed} passed, ${this.#failed} failed${skipped}\n`);
    });
  }

  onTestRunEnd(modules: ReadonlyArray<TestModule>, unhandledErrors: ReadonlyArray<SerializedError>): void {
    this.#failed += unhandledErrors.length;
    for (const module of modules) this.#count(module);
    if (this.#failed > 0) process.exitCode = 1;
  }

  #count(module: TestModule): void {
    const states = [...module.children.allTests()].map((test) => test.result().state);
    const failed = states.filter((state) => state === 'failed').length;
    this.#passed += states.filter((state) => state === 'passed').length;
    this.#skipped += states.filter((state) => state === 'skipped' || state === 'pending').length;
    // A file can fail without a failed test: it does not load, or a hook of it fails.
    this.#failed += failed === 0 && module.state() === 'failed' ? 1 : failed;
  }
}
