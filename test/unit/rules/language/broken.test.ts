/** Tests that each mistake is reported at its position, and that every problem code has a document. */
import { describe, expect, test } from 'vitest';
import { parseRulesDocument } from '../../../../src/rules/language/parse.ts';
import { levelOf, type ProblemCode, problemCodes } from '../../../../src/rules/language/problem.ts';
import { briefly, fileSource } from '../documents.ts';
import { brokenDocuments } from './broken.ts';

describe('a problem is reported at its position', () => {
  test.each(brokenDocuments)('$problem$says', ({ text, problem, says, scope }) => {
    const parsed = parseRulesDocument(text, fileSource('rules.yaml'), scope);
    const problems = parsed.ok ? [] : briefly(parsed.problems);
    expect(problems).toEqual([expect.stringContaining(says)]);
    expect(problems[0]).toContain(problem);
    expect(problems[0]).toMatch(/[.?]$/);
  });
});

/** Problems that a single document cannot have. The tests of compiling and of namespaces' own rules produce them. */
const ofSeveralDocuments: readonly ProblemCode[] = [
  'setting-conflict',
  'rule-tie',
  'internal-conflict',
  'override-tie',
  'secret-tie',
  'too-many-secrets',
  'too-many-combinations',
  'too-many-selectors',
  'too-many-rules',
  'namespace-quota',
  'namespace-rule-without-effect',
];
/**
 * The first needs more than one mistake, see parse.test.ts. The second is reported by the code that waits for the parser, the third by the
 * code that reads ConfigMaps from files.
 */
const ofNoMistake: readonly ProblemCode[] = ['too-many-problems', 'document-too-costly', 'bad-manifest'];

test('every problem that a single document can have is tested', () => {
  const shown = new Set([...brokenDocuments.map(({ problem }) => problem.split(' ', 1)[0]), ...ofSeveralDocuments, ...ofNoMistake]);
  const problems = (Object.keys(problemCodes) as ProblemCode[]).filter((code) => levelOf(code) === 'problem');
  expect(problems.filter((code) => !shown.has(code))).toEqual([]);
});
