/** Keeps the rules in force: accepts or rejects bundles of documents, and restores the last valid versions. */
import type { TextStart } from '../../yaml/lines.ts';
import { compileRuleSet } from '../compile/compile.ts';
import { findWidening, maxRulesChecked, type NamespaceRuleSet, withNamespaceRules } from '../compile/namespace-rules.ts';
import { maxProblems, type ParsedDocument, type ParseResult, parseRulesDocument, type RuleScope } from '../language/parse.ts';
import { firstProblems, type Problem, type RuleSource } from '../language/problem.ts';
import type { RuleSet } from '../rule-set.ts';
import { createByScope } from './by-scope.ts';
import {
  addSizes,
  largerOf,
  maxRulesOfNamespace,
  maxSources,
  noRules,
  type RulesSize,
  rejectOverQuota,
  sizeOf,
} from './namespace-quota.ts';
import { createNamespaceRuleStore } from './namespace-rule-store.ts';

/** Documents that are accepted or rejected together: the keys of one ConfigMap, or one file. */
export type Bundle = {
  /** The same for all versions of the bundle. */
  readonly id: string;
  /** Whose rules it contains. Default: the cluster's. */
  readonly scope?: RuleScope;
  /** The source's name for this version, if it has one. */
  readonly version?: string;
  readonly documents: readonly BundleText[];
  /**
   * Reads the newest version from its source, so that texts need not be kept in memory meanwhile. Undefined if the bundle no longer exists.
   */
  readonly readNewest?: () => Bundle | undefined;
  /** The size of the texts, if they were too large to keep. Such a bundle is rejected without parsing. */
  readonly droppedSize?: RulesSize;
};

export type BundleText = {
  readonly source: RuleSource;
  readonly text: string;
  /** Why the text cannot be read, if there should be one. */
  readonly unreadable?: string;
  /** Where the document begins, if it is part of a file. */
  readonly start?: TextStart;
};

/** A bundle and the parse results of its documents, in their order. */
export type ReadBundle = { readonly bundle: Bundle; readonly results: readonly ParseResult[] };

/** Parses a whole bundle synchronously. While requests are served, bundles are parsed in steps instead. */
export function readBundle(bundle: Bundle): ReadBundle {
  const parse = (document: BundleText) => parseRulesDocument(document.text, document.source, bundle.scope, document.start);
  return { bundle, results: bundle.documents.map((document) => rejectUnreadable(document) ?? parse(document)) };
}

function rulesIn({ results }: Pick<ReadBundle, 'results'>): number {
  return results.reduce((sum, result) => sum + (result.ok ? result.document.rules.length : 0), 0);
}

/** The parse result of a document without readable text. */
export function rejectUnreadable({ source, unreadable }: BundleText): ParseResult | undefined {
  if (unreadable === undefined) return undefined;
  return { ok: false, problems: [{ code: 'bad-manifest', message: unreadable, origin: { source, line: 1, column: 1 } }] };
}

/** How one event changed the rules. */
export type RulesChange = {
  /** The bundle that changed, or that was waiting for the event. */
  readonly id: string;
  /** Whose rules changed. */
  readonly scope: RuleScope;
  /** The documents of that bundle. */
  readonly sources: readonly RuleSource[];
  readonly before: RuleSet | undefined;
  readonly after: RuleSet | undefined;
  /** Why the documents were rejected. The last valid version of each stays in force. Empty if they were accepted. */
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** Something that an operator should see although the documents contain no mistake. */
  readonly alert?: string;
};

/**
 * The rules in force, and how they change. Loading is atomic for each bundle: a bundle with a problem changes nothing.
 *
 * A namespace's own rules never affect the rest of the cluster. A bundle of a namespace that was never valid is left out, and the rules of
 * a deleted one are removed immediately.
 */
export type RuleStore = {
  /**
   * The rules as written, without what the platform adds. Undefined until the cluster has rules, and while a bundle from the start has never been valid. Its rules might deny images, so nothing
   * is evaluated before it is fixed.
   */
  written(): RuleSet | undefined;
  /** Why `written` is undefined, as text for the operator. Undefined if `written` is not. */
  missing(): string | undefined;
  /**
   * Loads all bundles once, at the start. `lastGood` are the versions that an earlier run accepted. They replace bundles that are invalid
   * now, and all bundles if none is left.
   */
  open(bundles: readonly ReadBundle[], lastGood?: readonly ReadBundle[]): readonly RulesChange[];
  /** Loads a new bundle, or a new version of one. */
  offer(read: ReadBundle): readonly RulesChange[];
  /**
   * Applies several steps at once. The rules in force are compiled once, and every change leads from the state before the first step to
   * that after the last.
   */
  change(steps: readonly RulesStep[]): readonly RulesChange[];
  /**
   * The rejection of a namespace's bundle that exceeds the quota, without parsing it. `pending` is the size of bundles of the namespace
   * that were read but not offered yet. Undefined if the bundle fits.
   */
  rejectIfOverQuota(bundle: Bundle, pending?: RulesSize): ReadBundle | undefined;
  /** The result that `offer` would have, without changing anything. */
  preview(read: ReadBundle): Preview;
  /**
   * Rules of a namespace's bundle that have no effect together with the cluster's rules. Yields once per rule: if the cluster has many
   * rules, each step takes milliseconds.
   */
  widening(read: ReadBundle): Iterable<readonly Problem[]>;
  /** Removes a bundle and its rules. If it was the last one, its rules stay in force until a document says that there are none. */
  withdraw(id: string): readonly RulesChange[];
  /** All bundles that are rejected now, until they are fixed, replaced or deleted. */
  rejected(): readonly RejectedBundle[];
  /** The cluster's bundles in force, for `lastGood` of the next run. */
  accepted(): readonly Bundle[];
};

export type RulesStep = { readonly offer: ReadBundle } | { readonly withdraw: string };

export type RejectedBundle = { readonly scope: RuleScope; readonly problems: readonly Problem[] };

export type Preview = {
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** The cluster's rule set with the bundle. Undefined if there are problems or no rules, and for rules of a namespace. */
  readonly ruleSet: RuleSet | undefined;
};

type Accepted = { readonly bundle: Bundle; readonly documents: readonly ParsedDocument[] };

type Trial = { readonly warnings: readonly Problem[] } & (
  | { readonly kind: 'rejected'; readonly problems: readonly Problem[] }
  /** No bundle contains a rule or a setting. */
  | { readonly kind: 'blank' }
  | { readonly kind: 'accepted'; readonly documents: readonly ParsedDocument[]; readonly ruleSet: RuleSet }
  /** Rules of a namespace. */
  | { readonly kind: 'accepted-namespace'; readonly documents: readonly ParsedDocument[]; readonly rules: NamespaceRuleSet }
);

type Rejected = {
  /** Keeps its texts only if it may be accepted later and belongs to the cluster's rules, whose snapshot needs them. */
  readonly bundle: Bundle;
  /** Undefined if the bundle is invalid on its own. */
  readonly read: ReadBundle | undefined;
  /** The size of its texts, which are not kept. */
  readonly size: RulesSize;
  readonly problems: readonly Problem[];
};

/** A bundle of a namespace in force, without its texts. */
type NamespaceBundle = { readonly bundle: Bundle; readonly size: RulesSize };

/** How many bundles of one namespace that are invalid on their own are remembered. Nothing is kept of further ones. */
const maxRejected = 20;

/** The result of loading one bundle. */
type BundleResult = { readonly bundle: Bundle } & Pick<RulesChange, 'problems' | 'warnings' | 'alert'>;

/** `hash` is as in `compileRuleSet`. */
export function createRuleStore(hash: (text: string) => string): RuleStore {
  const accepted = new Map<string, Accepted>();
  const namespaceRules = createNamespaceRuleStore();
  const namespaceBundles = createByScope<NamespaceBundle>();
  /** The latest rejected versions. Each is retried when another bundle changes, since two bundles may be valid only together. */
  const rejected = createByScope<Rejected>();
  /** Bundles from the start that have never been valid. */
  const neverAccepted = new Set<string>();
  /** Deleted bundles that stay in force because there are no others. Any other rules replace them. */
  const orphaned = new Set<string>();
  let clusterRules: RuleSet | undefined;
  /** With the rules of namespaces. Undefined after a change, until it is needed. */
  let combined: RuleSet | undefined;
  let opened = false;

  function written(): RuleSet | undefined {
    if (neverAccepted.size > 0 || !clusterRules) return undefined;
    combined ??= withNamespaceRules(clusterRules, namespaceRules.rules, hash);
    return combined;
  }

  /** Loads the bundle if it is valid, and otherwise remembers it. `size` is that of its texts, if the bundle no longer contains them. */
  function tryBundle(read: ReadBundle, size = sizeOf(read.bundle)): BundleResult {
    const { bundle } = read;
    const trial = tryCompile(read);
    const { warnings } = trial;
    if (trial.kind === 'rejected') {
      keepRejected(read, trial.problems, size);
      return { bundle, problems: trial.problems, warnings };
    }
    rejected.delete(bundle.id);
    neverAccepted.delete(bundle.id);
    if (trial.kind === 'blank') {
      const alert = `${nameBundle(bundle)} is blank, and no other rules exist. ${clusterRules ? stayInForce : toHaveNone}`;
      return { bundle, problems: [], warnings, alert };
    }
    combined = undefined;
    if (trial.kind === 'accepted-namespace') {
      namespaceRules.put(bundle.id, trial.documents, trial.rules);
      namespaceBundles.put(bundle.id, scopeOf(bundle), { bundle: withoutTexts(bundle), size });
      return { bundle, problems: [], warnings };
    }
    for (const id of orphaned) accepted.delete(id);
    orphaned.clear();
    accepted.set(bundle.id, { bundle, documents: trial.documents });
    clusterRules = trial.ruleSet;
    return { bundle, problems: [], warnings };
  }

  /** Keeps what is needed of a rejected bundle later, but nothing whose size its author controls. */
  function keepRejected({ bundle, results }: ReadBundle, problems: readonly Problem[], size: RulesSize): void {
    const scope = scopeOf(bundle);
    const whole = results.every(({ ok }) => ok);
    rejected.delete(bundle.id);
    const bare = withoutTexts(bundle);
    if (scope.kind === 'cluster') {
      rejected.put(
        bundle.id,
        scope,
        whole ? { bundle, read: { bundle, results }, size, problems } : { bundle: bare, read: undefined, size, problems },
      );
      return;
    }
    const others = [...rejected.of(scope).values()];
    // A bundle that may become valid with others counts against the namespace's quota, so it is always kept.
    const waiting = others.flatMap(({ read }) => (read ? [read] : []));
    const mayBecomeValid = whole && [...waiting, { results }].reduce((sum, read) => sum + rulesIn(read), 0) <= maxRulesOfNamespace;
    if (!mayBecomeValid && others.length - waiting.length >= maxRejected) return;
    rejected.put(bundle.id, scope, { bundle: bare, read: mayBecomeValid ? { bundle: bare, results } : undefined, size, problems });
  }

  /**
   * The total size of a namespace's other bundles: of the version in force, and of one that was rejected only in combination with others.
   * The larger of the two counts. So the rules in force never exceed the quota, and the memory is at most twice the quota.
   */
  function sizeOfOthers({ id, scope }: Bundle): RulesSize {
    if (scope?.kind !== 'namespace') return noRules;
    const sizes = new Map<string, RulesSize>();
    for (const [other, { size }] of namespaceBundles.of(scope)) sizes.set(other, size);
    for (const [other, { read, size }] of rejected.of(scope)) if (read) sizes.set(other, largerOf(size, sizes.get(other) ?? noRules));
    sizes.delete(id);
    return [...sizes.values()].reduce(addSizes, noRules);
  }

  /** Compiles the bundle together with those that are accepted, without changing anything. */
  function tryCompile({ bundle, results }: ReadBundle): Trial {
    const { kind } = scopeOf(bundle);
    const shown = (problems: readonly Problem[]) => (kind === 'namespace' ? firstProblems(problems, maxProblems[kind]) : problems);
    const warnings = shown(results.flatMap((result) => (result.ok ? result.warnings : [])));
    const parseProblems = results.flatMap((result) => (result.ok ? [] : result.problems));
    if (parseProblems.length > 0) return { kind: 'rejected', problems: shown(parseProblems), warnings };

    const documents = results.flatMap((result) => (result.ok ? [result.document] : []));
    if (bundle.scope?.kind === 'namespace') {
      const compiled = namespaceRules.compileWith(bundle.scope.namespace, bundle.id, documents);
      if (!compiled.ok) return { kind: 'rejected', problems: shown(compiled.problems), warnings };
      return { kind: 'accepted-namespace', documents, rules: compiled.rules, warnings };
    }
    const others = [...accepted].filter(([id]) => id !== bundle.id && !orphaned.has(id)).flatMap(([, entry]) => entry.documents);
    // Documents without any content are not a rule set: compiled, they would enforce and deny every image.
    if ([...others, ...documents].every(({ blank }) => blank)) return { kind: 'blank', warnings };
    // The new bundle comes last, so that a contradiction is reported in it and not in a bundle that was valid before.
    const compiled = compileRuleSet([...others, ...documents], hash);
    if (!compiled.ok) return { kind: 'rejected', problems: compiled.problems, warnings };
    return { kind: 'accepted', documents, ruleSet: compiled.ruleSet, warnings };
  }

  /** Retries the rejected bundles of the scope that changed. */
  function retryRejected(scope: RuleScope): BundleResult[] {
    const bundleResults: BundleResult[] = [];
    for (let progress = true; progress; ) {
      progress = false;
      for (const { read, size } of [...rejected.of(scope).values()]) {
        // A bundle that cannot be parsed stays invalid, whatever the others contain.
        if (read === undefined) continue;
        const bundleResult = tryBundle(read, size);
        if (bundleResult.problems.length > 0) continue;
        bundleResults.push(bundleResult);
        progress = true;
      }
    }
    return bundleResults;
  }

  function openCluster(bundles: readonly ReadBundle[], lastGood: readonly ReadBundle[]): readonly BundleResult[] {
    const blank = bundles.filter(isBlank);
    if (blank.length === bundles.length) return [...restoreLastGood(lastGood), ...blank.map((read) => tryBundle(read))];
    const written = bundles.filter((read) => !blank.includes(read));
    const bundleResults = (acceptTogether(written) ?? written.map((read) => tryOrRestore(read, lastGood))).concat(
      blank.map((read) => tryBundle(read)),
    );
    const retried = retryRejected({ kind: 'cluster' });
    for (const id of rejected.of({ kind: 'cluster' }).keys()) if (!accepted.has(id)) neverAccepted.add(id);
    // If a bundle was rejected first and is valid together with the others, only the second result counts.
    return [...bundleResults.filter(({ problems, bundle }) => problems.length === 0 || rejected.get(bundle.id)), ...retried];
  }

  /** The usual start: everything is valid and compiled once. Undefined if anything is wrong. */
  function acceptTogether(bundles: readonly ReadBundle[]): BundleResult[] | undefined {
    const entries = bundles.map(({ bundle, results }) => ({
      bundle,
      documents: results.flatMap((result) => (result.ok ? [result.document] : [])),
      warnings: results.flatMap((result) => (result.ok ? result.warnings : [])),
      whole: results.every(({ ok }) => ok),
    }));
    if (!entries.every(({ whole }) => whole)) return undefined;
    const compiled = compileRuleSet(
      entries.flatMap(({ documents }) => documents),
      hash,
    );
    if (!compiled.ok) return undefined;
    for (const { bundle, documents } of entries) accepted.set(bundle.id, { bundle, documents });
    clusterRules = compiled.ruleSet;
    return entries.map(({ bundle, warnings }) => ({ bundle, problems: [], warnings }));
  }

  /** For a start with an invalid bundle: its last valid version is loaded, since the other bundles may need it. */
  function tryOrRestore(read: ReadBundle, lastGood: readonly ReadBundle[]): BundleResult {
    const bundleResult = tryBundle(read);
    if (bundleResult.problems.length === 0) return bundleResult;
    const { bundle } = read;
    const earlier = lastGood.find((each) => each.bundle.id === bundle.id);
    const good = earlier !== undefined && tryBundle(earlier).problems.length === 0;
    keepRejected(read, bundleResult.problems, sizeOf(bundle));
    return good ? { ...bundleResult, alert: `${nameBundle(bundle)}: ${earlierInForce}` } : bundleResult;
  }

  /** All bundles are deleted or blank: the rules in force at the end of the last run stay in force. */
  function restoreLastGood(lastGood: readonly ReadBundle[]): readonly BundleResult[] {
    const bundleResults = lastGood.map((read) => {
      const bundleResult = tryBundle(read);
      return bundleResult.problems.length > 0 || bundleResult.alert !== undefined
        ? bundleResult
        : { ...bundleResult, alert: `${nameBundle(read.bundle)} was deleted or is blank, and no other rules exist. ${stayInForce}` };
    });
    for (const id of accepted.keys()) orphaned.add(id);
    return bundleResults;
  }

  function withdrawFromCluster(id: string, { bundle }: Accepted): BundleResult {
    const left = [...accepted].filter(([other]) => other !== id).flatMap(([, { documents }]) => documents);
    if (left.every(({ blank }) => blank)) {
      orphaned.add(id);
      const alert = `${nameBundle(bundle)} was deleted, and no other rules exist. ${stayInForce}`;
      return { bundle, problems: [], warnings: [], alert };
    }
    accepted.delete(id);
    combined = undefined;
    const compiled = compileRuleSet(left, hash);
    // Removing documents from a set without contradictions cannot create one.
    if (compiled.ok) clusterRules = compiled.ruleSet;
    return { bundle, problems: [], warnings: [] };
  }

  function change(steps: readonly RulesStep[]): readonly RulesChange[] {
    const before = written();
    return toChanges(
      steps.flatMap((step) => ('offer' in step ? offerBundle(step.offer) : withdrawBundle(step.withdraw))),
      before,
    );
  }

  function offerBundle(read: ReadBundle): readonly BundleResult[] {
    const bundleResult = tryWithinQuota(read);
    return bundleResult.problems.length > 0 ? [bundleResult] : [bundleResult, ...retryRejected(scopeOf(read.bundle))];
  }

  /** Checks the quota again after parsing, since other bundles of the namespace may have been loaded meanwhile. */
  function tryWithinQuota(read: ReadBundle): BundleResult {
    const { bundle, results } = read;
    const overQuota = results.every(({ ok }) => ok) ? rejectIfOverQuota(bundle) : undefined;
    return tryBundle(overQuota ?? read, sizeOf(bundle));
  }

  function rejectIfOverQuota(bundle: Bundle, pending = noRules): ReadBundle | undefined {
    const problem = rejectOverQuota(bundle, addSizes(sizeOfOthers(bundle), pending));
    return problem && { bundle: withoutTexts(bundle), results: [{ ok: false, problems: [problem] }] };
  }

  function withdrawBundle(id: string): readonly BundleResult[] {
    const entry = accepted.get(id);
    const bundle = namespaceBundles.get(id)?.bundle ?? rejected.get(id)?.bundle;
    rejected.delete(id);
    const wasNeverAccepted = neverAccepted.delete(id);
    if (entry) return [withdrawFromCluster(id, entry), ...retryRejected({ kind: 'cluster' })];

    namespaceBundles.delete(id);
    if (!bundle) return [];
    const wasInForce = namespaceRules.drop(id);
    const freed = wasInForce ? retryRejected(scopeOf(bundle)) : [];
    combined = undefined;
    // A bundle of the cluster that was never valid may have kept the others out of force.
    const opens = wasNeverAccepted && neverAccepted.size === 0 && clusterRules !== undefined;
    return wasInForce || opens ? [{ bundle, problems: [], warnings: [] }, ...freed] : [];
  }

  function toChanges(bundleResults: readonly BundleResult[], before: RuleSet | undefined): readonly RulesChange[] {
    const after = written();
    return bundleResults.map(({ bundle, ...result }) => ({
      id: bundle.id,
      scope: scopeOf(bundle),
      sources: (bundle.scope?.kind === 'namespace' ? bundle.documents.slice(0, maxSources) : bundle.documents).map(({ source }) => source),
      before,
      after,
      ...result,
    }));
  }

  return {
    written,
    missing() {
      if (!opened) return 'the rules have not been read yet';
      if (neverAccepted.size > 0) return `invalid rules: ${[...neverAccepted].join(', ')}`;
      return clusterRules ? undefined : 'there are no rules';
    },
    open(bundles, lastGood = []) {
      const namespaceReads = bundles.filter(({ bundle }) => scopeOf(bundle).kind === 'namespace');
      const bundleResults = [
        ...openCluster(
          bundles.filter((read) => !namespaceReads.includes(read)),
          lastGood,
        ),
        ...namespaceReads.map(tryWithinQuota),
      ];
      combined = undefined;
      opened = true;
      // The intermediate states were never in force, so all changes lead from no rules to the rules in force now.
      return toChanges(bundleResults, undefined);
    },
    offer: (read) => change([{ offer: read }]),
    change,
    rejectIfOverQuota,
    preview(read) {
      const trial = tryCompile(read);
      const { warnings } = trial;
      if (trial.kind === 'rejected') return { problems: trial.problems, warnings, ruleSet: undefined };
      return { problems: [], warnings, ruleSet: trial.kind === 'accepted' ? trial.ruleSet : undefined };
    },
    *widening({ bundle: { scope }, results }) {
      if (scope?.kind !== 'namespace' || !clusterRules) return;
      const { namespace } = scope;
      const rules = results.flatMap((result) => (result.ok ? result.document.rules : [])).slice(0, maxRulesChecked(clusterRules));
      for (const rule of rules) yield clusterRules ? findWidening(clusterRules, { namespace, rules: [rule] }) : [];
    },
    withdraw: (id) => change([{ withdraw: id }]),
    rejected: () => rejected.all().map(({ bundle, problems }) => ({ scope: scopeOf(bundle), problems })),
    accepted: () => [...accepted.values()].map(({ bundle }) => bundle),
  };
}

const earlierInForce = 'the version from before this server started is in effect';
const toHaveNone = 'To remove all rules, create a document that contains "rules: []"';
const stayInForce = `The last valid version remains in effect. ${toHaveNone}`;

function scopeOf({ scope }: Bundle): RuleScope {
  return scope ?? { kind: 'cluster' };
}

/** The parts that identify a bundle, without its texts. Of a namespace's bundle with very many documents only the first ones. */
function withoutTexts({ id, scope, version, readNewest, documents }: Bundle): Bundle {
  const named = scope?.kind === 'namespace' ? documents.slice(0, maxSources) : documents;
  return {
    id,
    ...(scope && { scope }),
    ...(version !== undefined && { version }),
    ...(readNewest && { readNewest }),
    documents: named.map(({ source }) => ({ source, text: '' })),
  };
}

function isBlank({ results }: ReadBundle): boolean {
  return results.every((result) => result.ok && result.document.blank);
}

function nameBundle(bundle: Bundle): string {
  const [first] = bundle.documents;
  if (!first) return bundle.id;
  return first.source.kind === 'file' ? first.source.file : `ConfigMap ${first.source.namespace}/${first.source.name}`;
}
