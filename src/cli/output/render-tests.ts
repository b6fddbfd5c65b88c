/** Renders the results of policy tests for people, as JSON, and as JUnit XML. */

import type { ExpectationFailure } from '../../evaluate/expectation.ts';
import type { TestResult } from '../../evaluate/policy-test.ts';
import { printJson } from '../../yaml/print-json.ts';
import { renderJunit } from './junit.ts';
import { type Paint, plain } from './paint.ts';

export type RenderTestsOptions = {
  readonly paint?: Paint;
  /** Leaves out tests that passed, and the summary. */
  readonly quiet?: boolean;
};

export function renderTests(results: readonly TestResult[], { paint = plain, quiet = false }: RenderTestsOptions = {}): string {
  const shown = quiet ? results.filter(({ failures }) => failures.length > 0) : results;
  const blocks = shown.map(({ name, objects, failures, updated }) => {
    const [label, meaning] = failures.length > 0 ? (['FAIL', 'denied'] as const) : ([updated ? 'WROTE' : 'ok', 'allowed'] as const);
    const head = `${paint(meaning, label)}${' '.repeat(6 - label.length)}${name}  ${objects} object${objects === 1 ? '' : 's'}`;
    return [head, ...failures.flatMap(renderFailure).map((line) => `      ${line}`), ''].join('\n');
  });
  const { passed, failed } = count(results);
  const summary = quiet ? '' : `\n${passed + failed} test${passed + failed === 1 ? '' : 's'}: ${passed} passed, ${failed} failed\n`;
  return `${blocks.join('')}${summary}`;
}

function renderFailure({ message, line, difference }: ExpectationFailure): readonly string[] {
  const head = `${line === undefined ? '' : `expected.yaml:${line}: `}${message}`;
  if (!difference) return head.split('\n');
  return [head, ...labelled('expected', difference.expected), ...labelled('actual', difference.actual)];
}

/** Multi-line text is printed line by line, everything else as JSON on one line. */
function labelled(label: string, value: unknown): readonly string[] {
  if (typeof value === 'string' && value.includes('\n')) return [`  ${label}:`, ...value.split('\n').map((line) => `    | ${line}`)];
  return [`  ${`${label}:`.padEnd(10)}${value === undefined ? 'nothing' : printJson(value)}`];
}

/** `{tests: [{name, passed, objects, failures: [{message, line, difference: {field, expected, actual}}]}], summary: {passed, failed}}` */
export function renderTestsJson(results: readonly TestResult[]): string {
  const tests = results.map(({ name, objects, failures }) => ({ name, passed: failures.length === 0, objects, failures }));
  return `${printJson({ tests, summary: count(results) }, 2)}\n`;
}

function count(results: readonly TestResult[]): { readonly passed: number; readonly failed: number } {
  const failed = results.filter(({ failures }) => failures.length > 0).length;
  return { passed: results.length - failed, failed };
}

export function renderTestsJunit(results: readonly TestResult[]): string {
  return renderJunit(
    results.map(({ name, failures }) => ({
      classname: 'regkeeper',
      name,
      failure: failures[0] && { summary: failures[0].message, text: failures.flatMap(renderFailure).join('\n') },
    })),
  );
}
