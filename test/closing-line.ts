/** A vitest reporter whose last line counts the tests, so that the result is easy to find. */
import type { Reporter, TestModule } from 'vitest/node';

/** Prints as the last line how many tests passed, failed and were skipped. The lines before it give the reasons of skipped tests. */
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
      // A file that could not be loaded has no tests, so it counts as one failure.
      if (module.errors().length > 0) count.failed += 1;
    }
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
    // On exit, because the summary of the reporter before this one is printed in the same turn of the event loop.
    process.once('exit', () => process.stdout.write(`${[...notes].join('')}${count.passed} passed, ${count.failed} failed${skipped}\n`));
  }
}
