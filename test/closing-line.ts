import type { Reporter, TestModule } from 'vitest/node';

/**
 * Says last, on a line of its own, how many tests passed and failed, so that nobody has to look for it; before that, why a test skipped
 * itself, where it says so.
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const count = { passed: 0, failed: 0, skipped: 0 };
    const notes = new Set<string>();
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state !== 'pending') count[result.state] += 1;
        if (result.state === 'skipped' && result.note !== undefined) notes.add(`skipped: ${result.note}\n`);
      }
      // A file that could not be loaded has no tests to count.
      if (module.errors().length > 0) count.failed += 1;
    }
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
    // After the summary of the reporter before this one, which is printed in the same turn.
    process.once('exit', () => process.stdout.write(`${[...notes].join('')}${count.passed} passed, ${count.failed} failed${skipped}\n`));
  }
}
