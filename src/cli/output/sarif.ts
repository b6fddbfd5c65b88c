/** Renders problems as SARIF 2.1.0 (OASIS), the format of code scanning services. */
import { isAbsolute, normalize } from 'node:path';
import { pathToFileURL } from 'node:url';
import packageJson from '../../../package.json' with { type: 'json' };
import {
  levelOf,
  type Origin,
  type Problem,
  type ProblemCode,
  type ProblemLevel,
  problemCodes,
  renderSourcePath,
} from '../../rules/language/problem.ts';
import { problemRemedies } from '../../rules/language/problem-remedies.ts';

const sarifLevels: Readonly<Record<ProblemLevel, string>> = { problem: 'error', warning: 'warning', hint: 'note' };

const codes = Object.keys(problemCodes) as readonly ProblemCode[];

export function renderSarif(problems: readonly Problem[]): string {
  const log = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'regkeeper', semanticVersion: packageJson.version, rules: codes.map(describeCode) } },
        // Positions count UTF-16 code units: a character outside the Basic Multilingual Plane is two columns.
        columnKind: 'utf16CodeUnits',
        results: problems.map(resultOf),
      },
    ],
  };
  return `${JSON.stringify(log, null, 2)}\n`;
}

/** All codes are listed, so that a run without problems shows what was checked. */
function describeCode(code: ProblemCode) {
  const { text, level } = problemCodes[code];
  return {
    id: code,
    shortDescription: { text },
    help: { text: sentence(problemRemedies[code]) },
    defaultConfiguration: { level: sarifLevels[level] },
  };
}

function resultOf({ code, message, origin, related }: Problem) {
  return {
    ruleId: code,
    ruleIndex: codes.indexOf(code),
    level: sarifLevels[levelOf(code)],
    message: { text: message },
    locations: [locationOf(origin)],
    ...(related && { relatedLocations: [{ id: 1, ...locationOf(related), message: { text: 'the other place' } }] }),
  };
}

function locationOf({ source, line, column }: Origin) {
  const uri = source.kind === 'file' ? uriOf(source.file) : encodeURI(renderSourcePath(source));
  return { physicalLocation: { artifactLocation: { uri }, region: { startLine: line, startColumn: column } } };
}

/** Relative paths stay relative: services resolve them against the root of the repository, where CI runs. */
function uriOf(file: string): string {
  return isAbsolute(file) ? pathToFileURL(file).href : normalize(file).split('/').map(encodeURIComponent).join('/');
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
