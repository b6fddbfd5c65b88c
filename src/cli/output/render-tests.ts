/** Renders the results of policy tests for people, as JSON, and as JUnit XML. */

import type { ExpectationFailure } from '../../evaluate/expectation.ts';
import type { TestResult } from '../../evaluate/policy-test.ts';
import { printJson } from '../../yaml/print-json.ts';

export function renderTests(results: readonly TestResult[]): string {
  const blocks = results.map(({ name, objects, failures, updated }) => {
    const label = failures.length > 0 ? 'FAIL' : updated ? 'WROTE' : 'ok';
    const head = `${label.padEnd(6)}${name}  ${objects} object${objects === 1 ? '' : 's'}`;
    return [head, ...failures.flatMap(renderFailure).map((line) => `      ${line}`), ''].join('\n');
  });
  const { passed, failed, written } = count(results);
  const parts = [`${passed} passed`, `${failed} failed`, ...(written > 0 ? [`${written} written and not tested`] : [])];
  return `${blocks.join('')}\n${results.length} test${results.length === 1 ? '' : 's'}: ${parts.join(', ')}\n`;
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

/** JUnit XML as Ant's JUnit task writes it and CI systems read it: one suite, with one case per test. */
export function renderJunit(results: readonly TestResult[]): string {
  const { failed, written } = count(results);
  const cases = results.map(({ name, failures, updated }) => {
    const head = `    <testcase classname="regkeeper" name="${escapeXml(name)}"`;
    if (updated) return `${head}>\n      <skipped message="expected.yaml was written, so nothing was tested"/>\n    </testcase>\n`;
    if (failures.length === 0) return `${head}/>\n`;
    const [first] = failures;
    const text = failures.flatMap(renderFailure).join('\n');
    return `${head}>\n      <failure message="${escapeXml(first?.message ?? '')}">${escapeXml(text)}</failure>\n    </testcase>\n`;
  });
  const totals = `tests="${results.length}" failures="${failed}" errors="0" skipped="${written}"`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ${totals}>\n  <testsuite name="regkeeper" ${totals}>\n${cases.join('')}  </testsuite>\n</testsuites>\n`;
}

/** For text and for attributes in double quotes. XML 1.0 forbids most control characters, even escaped ones, so they become U+FFFD. */
export function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replace(/[^\P{Cc}\t\n\r]|[\ufffe\uffff]/gu, '\ufffd')
    .replace(/[&<>"'\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`);
}
