/** Loads rules from files for commands that run once. Reads everything and reports all problems. */
import { createHash } from 'node:crypto';
import { compileRuleSet } from '../rules/compile/compile.ts';
import { compileNamespaceRules, findWidening, type NamespaceRuleSet, withNamespaceRules } from '../rules/compile/namespace-rules.ts';
import { type ParsedDocument, parseRulesDocument } from '../rules/language/parse.ts';
import { type Problem, renderSourcePath } from '../rules/language/problem.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import { addSizes, noRules, type RulesSize, rejectOverQuota, sizeOf } from '../rules/store/namespace-quota.ts';
import type { Bundle } from '../rules/store/rule-store.ts';
import { readRuleFiles } from './rule-files.ts';
import type { SourceInFile } from './rule-manifests.ts';

export type LoadedRules = {
  /** Undefined if there are problems. */
  readonly ruleSet: RuleSet | undefined;
  /** Ordered by file and position. */
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** Secrets with the label of a source of secret delivery that were found among the rules. */
  readonly sources: readonly SourceInFile[];
  /** What was read, valid or not. */
  readonly read: { readonly files: number; readonly documents: number; readonly rules: number };
};

/**
 * Loads rules documents and rules ConfigMaps from files, from folders, and for `-` from standard input. Valid documents are compiled even
 * if others have problems, so that all problems are found at once. `displayName` returns the name of a file in messages. The default is its
 * path.
 *
 * @throws Error if paths cannot be read, with one sentence per line
 */
export async function loadRules(paths: readonly string[], displayName?: (file: string) => string): Promise<LoadedRules> {
  const content = await readRuleFiles(paths, displayName);
  const { withinQuota, overQuota } = separateOverQuota(content.bundles);
  const texts = withinQuota.flatMap(({ documents, scope }) => documents.map((document) => ({ ...document, scope })));
  const results = texts.map(({ text, source, scope, start }) => parseRulesDocument(text, source, scope, start));
  const parsed = results.flatMap((result) => (result.ok ? [result.document] : []));
  const compiled = compileAll(parsed, parsed.length === results.length && content.problems.length + overQuota.length === 0);

  const problems = [
    ...content.problems,
    ...overQuota,
    ...results.flatMap((result) => (result.ok ? [] : result.problems)),
    ...compiled.problems,
  ];
  const warnings = [...content.warnings, ...results.flatMap((result) => (result.ok ? result.warnings : []))];
  return {
    ruleSet: problems.length === 0 ? compiled.ruleSet : undefined,
    problems: sortByPosition(problems),
    warnings: sortByPosition(warnings),
    sources: content.sources,
    read: {
      files: new Set(content.files).size,
      documents: texts.length,
      rules: parsed.reduce((sum, { rules }) => sum + rules.length, 0),
    },
  };
}

/** Rejects rules that exceed their namespace's quota without parsing them, as the server does. */
function separateOverQuota(bundles: readonly Bundle[]): {
  readonly withinQuota: readonly Bundle[];
  readonly overQuota: readonly Problem[];
} {
  const sizes = new Map<string, RulesSize>();
  const withinQuota: Bundle[] = [];
  const overQuota: Problem[] = [];
  for (const bundle of bundles) {
    const namespace = bundle.scope?.kind === 'namespace' ? bundle.scope.namespace : '';
    const others = sizes.get(namespace) ?? noRules;
    const problem = rejectOverQuota(bundle, others);
    if (problem) overQuota.push(problem);
    else {
      withinQuota.push(bundle);
      sizes.set(namespace, addSizes(others, sizeOf(bundle)));
    }
  }
  return { withinQuota, overQuota };
}

/** Sorts by file, line and column, so that the problems of several documents of one file are listed in reading order. */
export function sortByPosition(problems: readonly Problem[]): readonly Problem[] {
  const file = ({ origin: { source } }: Problem) => renderSourcePath(source);
  return problems.toSorted(
    (one, other) =>
      Number(file(one) > file(other)) - Number(file(one) < file(other)) ||
      one.origin.line - other.origin.line ||
      one.origin.column - other.origin.column,
  );
}

type Compiled = { readonly ruleSet: RuleSet | undefined; readonly problems: readonly Problem[] };

/** `complete`: whether every input was valid. */
function compileAll(documents: readonly ParsedDocument[], complete: boolean): Compiled {
  const ofCluster = documents.filter(({ scope }) => scope.kind === 'cluster');
  const cluster = compileRuleSet(ofCluster, hashRules);
  const problems = cluster.ok ? [] : [...cluster.problems];
  const byNamespace = Map.groupBy(documents, ({ scope }) => (scope.kind === 'namespace' ? scope.namespace : undefined));
  const compiled = new Map<string, NamespaceRuleSet>();
  for (const [namespace, own] of byNamespace) {
    if (namespace === undefined) continue;
    const result = compileNamespaceRules(namespace, own);
    if (!result.ok) {
      problems.push(...result.problems);
      continue;
    }
    compiled.set(namespace, result.rules);
    // If only the namespace's rules are input, or some of the cluster's rules are invalid, it is unknown what the cluster trusts and
    // delegates.
    if (cluster.ok && ofCluster.length > 0 && complete) problems.push(...findWidening(cluster.ruleSet, result.rules));
  }
  return { ruleSet: cluster.ok ? withNamespaceRules(cluster.ruleSet, compiled, hashRules) : undefined, problems };
}

/** The hash for the revision of rules. It is the same for files and clusters, so that revisions can be compared. */
export function hashRules(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
