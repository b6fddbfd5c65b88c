/** Parses and compiles rules documents for tests, and renders their problems. */
import { createHash } from 'node:crypto';
import { type ImageReference, parseImage } from '../../../src/image/reference.ts';
import { type CompileResult, compileRuleSet } from '../../../src/rules/compile/compile.ts';
import { type ParsedDocument, parseRulesDocument } from '../../../src/rules/language/parse.ts';
import type { Problem, RuleSource } from '../../../src/rules/language/problem.ts';
import type { NamespaceContext, Rule, RuleSet } from '../../../src/rules/rule-set.ts';

export function fileSource(file: string): RuleSource {
  return { kind: 'file', file };
}

/** The document of a text that must have no problems. */
export function documentOf(text: string, file = 'rules.yaml'): ParsedDocument {
  const parsed = parseRulesDocument(text, fileSource(file));
  if (!parsed.ok) throw new Error(briefly(parsed.problems).join('\n'));
  return parsed.document;
}

/** Problems as `code line:column message`, for easy comparison. */
export function briefly(problems: readonly Problem[]): string[] {
  return problems.map(({ code, origin, message }) => `${code} ${origin.line}:${origin.column} ${message}`);
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Compiles texts as the files `a.yaml`, `b.yaml` and so on. */
export function compileTexts(...texts: readonly string[]): CompileResult {
  return compileRuleSet(
    texts.map((text, index) => documentOf(text, `${'abcdefgh'.charAt(index)}.yaml`)),
    sha256,
  );
}

/** The rule set of texts that must compile. */
export function ruleSetOf(...texts: readonly string[]): RuleSet {
  const compiled = compileTexts(...texts);
  if (!compiled.ok) throw new Error(briefly(compiled.problems).join('\n'));
  return compiled.ruleSet;
}

export function referenceOf(image: string): ImageReference {
  const parsed = parseImage(image);
  if (!parsed.ok) throw new Error(parsed.problem.message);
  return parsed.reference;
}

/** A namespace without labels. */
export const shop: NamespaceContext = { namespace: 'shop', labels: {} };

/** The rule that decides on an image. */
export function winnerOf(rules: RuleSet, reference: ImageReference, context = shop): Rule | undefined {
  return rules.match(reference, context).value;
}
