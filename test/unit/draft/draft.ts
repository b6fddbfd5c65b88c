/** Drafts rules for tests, and evaluates objects by them. */
import { draftFromManifests, type ManifestDraft, type ManifestDraftOptions } from '../../../src/draft/draft-from-manifests.ts';
import { renderDraft } from '../../../src/draft/render-draft.ts';
import { type Evaluation, evaluate } from '../../../src/evaluate/evaluate.ts';
import { type ParsedManifests, parseManifests } from '../../../src/evaluate/parse-manifests.ts';
import { hashRules } from '../../../src/loading/load-rules.ts';
import { compileRuleSet } from '../../../src/rules/compile/compile.ts';
import { parseRulesDocument } from '../../../src/rules/language/parse.ts';
import { levelOf } from '../../../src/rules/language/problem.ts';
import { lintRules } from '../../../src/rules/lint/lint.ts';
import type { RuleSet } from '../../../src/rules/rule-set.ts';
import { withPlatform } from '../../../src/rules/store/add-platform-rules.ts';

export type Tried = ManifestDraft & {
  /** The document in `mode: audit`. */
  readonly text: string;
  /** Codes of what `lint --strict` counts. */
  readonly lint: readonly string[];
  /** The objects by the same rules in `mode: enforce`, on OpenShift. */
  readonly enforced: Evaluation;
};

export function tryDraft(input: ParsedManifests, options: Partial<ManifestDraftOptions> = {}): Tried {
  const known = { namespace: 'default', perPath: false, ...options };
  const result = draftFromManifests(input, known);
  const { text } = renderDraft(result.draft, result.notes);
  const enforcing = compile(renderDraft(result.draft, result.notes, 'enforce').text);
  const facts = { user: 'developer', assumeComplete: false, now: 0, ...known };
  return { ...result, text, lint: lint(compile(text)), enforced: evaluate(input, onOpenShift(enforcing), facts) };
}

export function tryText(yaml: string, options: Partial<ManifestDraftOptions> = {}): Tried {
  return tryDraft(parseManifests(yaml, 'objects.yaml'), options);
}

function compile(text: string): RuleSet {
  const parsed = parseRulesDocument(text, { kind: 'file', file: 'rules.yaml' });
  const compiled = parsed.ok ? compileRuleSet([parsed.document], hashRules) : parsed;
  if (!compiled.ok) throw new Error(`${JSON.stringify(compiled.problems)} in ${text}`);
  if (parsed.ok && parsed.warnings.length > 0) throw new Error(JSON.stringify(parsed.warnings));
  return compiled.ruleSet;
}

function lint(rules: RuleSet): readonly string[] {
  return lintRules(rules, '2026-11-30').flatMap(({ code }) => (levelOf(code) === 'hint' ? [] : [code]));
}

/** As OpenShift states it: the names of its internal registry, and no search for names without a registry. */
function onOpenShift(rules: RuleSet): RuleSet {
  const registry = 'image-registry.openshift-image-registry.svc';
  const internalRegistries = [`${registry}:5000`, `${registry}.cluster.local:5000`].map((each) => ({ registry: each, object: 'test' }));
  return withPlatform(rules, { internalRegistries, shortNames: 'reject' }, hashRules).ruleSet;
}
