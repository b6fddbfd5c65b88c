/** Renders findings as SARIF 2.1.0 (OASIS), the format of code scanning services. */
import { isAbsolute, normalize } from 'node:path';
import { pathToFileURL } from 'node:url';
import packageJson from '../../../package.json' with { type: 'json' };
import type { Finding, FindingCode, Place } from './findings.ts';

export function renderSarif(findings: readonly Finding[], codes: readonly FindingCode[]): string {
  const indexOf = (code: string) => codes.findIndex((each) => each.code === code);
  const log = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        // All codes are listed, so that a run without findings shows what was checked.
        tool: { driver: { name: 'regkeeper', semanticVersion: packageJson.version, rules: codes.map(describeCode) } },
        // Positions count UTF-16 code units: a character outside the Basic Multilingual Plane is two columns.
        columnKind: 'utf16CodeUnits',
        results: findings.map(({ code, level, message, place, related }) => ({
          ruleId: code,
          ruleIndex: indexOf(code),
          level,
          message: { text: message },
          locations: [locationOf(place)],
          ...(related && { relatedLocations: [{ id: 1, ...locationOf(related), message: { text: 'the other place' } }] }),
        })),
      },
    ],
  };
  return `${JSON.stringify(log, null, 2)}\n`;
}

function describeCode({ code, level, text, help }: FindingCode) {
  return { id: code, shortDescription: { text }, help: { text: help }, defaultConfiguration: { level } };
}

function locationOf({ file, isFile, line, column }: Place) {
  const uri = isFile ? uriOf(file) : encodeURI(file);
  const region = { startLine: line, ...(column !== undefined && { startColumn: column }) };
  return { physicalLocation: { artifactLocation: { uri }, ...(line !== undefined && { region }) } };
}

/** Relative paths stay relative: services resolve them against the root of the repository, where CI runs. */
function uriOf(file: string): string {
  return isAbsolute(file) ? pathToFileURL(file).href : normalize(file).split('/').map(encodeURIComponent).join('/');
}
