/** Renders the results of policy tests for people, as JSON, and as JUnit XML. */

import type { ExpectationFailure } from '../../evaluate/expectation.ts';
import type { TestResult } from '../../evaluate/policy-test.ts';
import { countOf } from '../../image/wording.ts';
import { escapeControls } from '../../object/text.ts';
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
    const [label, meaning] = labels[failures.length > 0 ? 'failed' : updated ? 'written' : 'passed'];
    const head = `${paint(meaning, label)}${' '.repeat(6 - label.length)}${name}  ${countOf(objects, 'object')}`;
    return [head, ...failures.flatMap(renderFailure).map((line) => `      ${escapeControls(line)}`), ''].join('\n');
  });
  const { passed, failed, written } = count(results);
  const parts = [`${passed} passed`, `${failed} failed`, ...(written > 0 ? [`${written} written and not tested`] : [])];
  const summary = quiet ? '' : `\n${countOf(results.length, 'test')}: ${parts.join(', ')}\n`;
  return `${blocks.join('')}${summary}`;
}

const labels = { failed: ['FAIL', 'denied'], written: ['WROTE', 'warned'], passed: ['ok', 'allowed'] } as const;

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

/**
 * `{tests: [{name, passed, written, objects, failures: [{message, line, difference: {field, expected, actual}}]}], summary: {passed, failed,
 * written}}`. A test that was written has not passed.
 */
export function renderTestsJson(results: readonly TestResult[]): string {
  const tests = results.map(({ name, objects, failures, updated }) => ({
    name,
    passed: failures.length === 0 && !updated,
    written: updated,
    objects,
    failures,
  }));
  return `${printJson({ tests, summary: count(results) }, 2)}\n`;
}

function count(results: readonly TestResult[]): { readonly passed: number; readonly failed: number; readonly written: number } {
  const failed = results.filter(({ failures }) => failures.length > 0).length;
  const written = results.filter(({ updated }) => updated).length;
  return { passed: results.length - failed - written, failed, written };
}

export function renderTestsJunit(results: readonly TestResult[]): string {
  return renderJunit(
    results.map(({ name, failures, updated }) => ({
      classname: 'regkeeper',
      name,
      failure: failures[0] && { summary: failures[0].message, text: failures.flatMap(renderFailure).join('\n') },
      skipped: updated ? 'expected.yaml was written, so nothing was tested' : undefined,
    })),
  );
}
