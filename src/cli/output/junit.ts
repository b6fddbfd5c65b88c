/** Renders JUnit XML as Ant's JUnit task writes it and CI systems read it: one suite, with one case per test or object. */

import { inputName } from '../../image/wording.ts';
import type { Finding } from './findings.ts';

export type JunitCase = {
  readonly classname: string;
  readonly name: string;
  /** `summary` is one line, `text` has all details. */
  readonly failure?: { readonly summary: string; readonly text: string } | undefined;
  /** Why nothing was tested. */
  readonly skipped?: string | undefined;
  /** Shown with a case that passed. */
  readonly output?: string | undefined;
};

export function renderJunit(cases: readonly JunitCase[]): string {
  const failures = cases.filter(({ failure }) => failure !== undefined).length;
  const skipped = cases.filter((each) => each.skipped !== undefined).length;
  const totals = `tests="${cases.length}" failures="${failures}" errors="0" skipped="${skipped}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${totals}>`,
    `  <testsuite name="regkeeper" ${totals}>`,
    ...cases.flatMap(renderCase),
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

/** A case for each problem or warning of rules. With `strict`, a warning is a failure. */
export function problemCases(findings: readonly Finding[], strict = false): readonly JunitCase[] {
  return findings.map(({ place, level, code, message }) => {
    const isFailure = level === 'error' || (strict && level === 'warning');
    return {
      classname: inputName(place.file),
      name: `line ${place.line}, column ${place.column}`,
      failure: isFailure ? { summary: code, text: message } : undefined,
      output: isFailure ? undefined : `${code}: ${message}`,
    };
  });
}

function renderCase({ classname, name, failure, skipped, output }: JunitCase): readonly string[] {
  const head = `    <testcase classname="${escapeXml(classname)}" name="${escapeXml(name)}"`;
  const content = [
    ...(failure ? [`      <failure message="${escapeXml(failure.summary)}">${escapeXml(failure.text)}</failure>`] : []),
    ...(skipped === undefined ? [] : [`      <skipped message="${escapeXml(skipped)}"/>`]),
    ...(output === undefined ? [] : [`      <system-out>${escapeXml(output)}</system-out>`]),
  ];
  return content.length === 0 ? [`${head}/>`] : [`${head}>`, ...content, '    </testcase>'];
}

/** For text and for attributes in double quotes. XML 1.0 forbids most control characters, even escaped ones, so they become U+FFFD. */
export function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replace(/[^\P{Cc}\t\n\r]|[\ufffe\uffff]/gu, '\ufffd')
    .replace(/[&<>"'\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`);
}
