import type { TextStart } from '../../yaml/lines.ts';
import { compileRuleSet } from '../compile/compile.ts';
import { mostLookedAt, type NamespaceRuleSet, widening, withNamespaceRules } from '../compile/namespace-rules.ts';
import { mostProblems, type ParsedDocument, type ParseResult, parseRulesDocument, type RuleScope } from '../language/parse.ts';
import { firstProblems, type Problem, type RuleSource } from '../language/problem.ts';
import type { RuleSet } from '../rule-set.ts';
import { createByScope } from './by-scope.ts';
import { addSizes, largerOf, mostSources, noRules, type RulesSize, refuseOverQuota, sizeOf } from './namespace-quota.ts';
import { createNamespaceBook } from './namespace-rule-store.ts';

/** Documents that are accepted or refused together: the keys of one ConfigMap, or one file. */
export type Bundle = {
  /** Stays the same over the versions of the bundle. */
  readonly id: string;
  /** Whose rules it holds; the cluster's unless told. */
  readonly scope?: RuleScope;
  /** The source's own name for this version, if it has one. */
  readonly version?: string;
  readonly documents: readonly BundleText[];
  /** The newest version of it from where it came, so that nothing has to keep the texts meanwhile; undefined where it is gone. */
  readonly again?: () => Bundle | undefined;
  /** The texts of the documents are not held, since they are too much: what there is. Such a bundle is refused unread. */
  readonly unheld?: RulesSize;
};

export type BundleText = {
  readonly source: RuleSource;
  readonly text: string;
  /** Why there is no text to read, where there should be one. */
  readonly unreadable?: string;
  /** Where it begins in its file, where it is a part of one. */
  readonly start?: TextStart;
};

/** A bundle and what parsing each of its documents gave, in their order. */
export type ReadBundle = { readonly bundle: Bundle; readonly results: readonly ParseResult[] };

/** Parses all of a bundle at once; where requests wait meanwhile, it is read in turns instead. */
export function readBundle(bundle: Bundle): ReadBundle {
  const parse = (document: BundleText) => parseRulesDocument(document.text, document.source, bundle.scope, document.start);
  return { bundle, results: bundle.documents.map((document) => refuseUnreadable(document) ?? parse(document)) };
}

/** The answer for a document that has no text to parse. */
export function refuseUnreadable({ source, unreadable }: BundleText): ParseResult | undefined {
  if (unreadable === undefined) return undefined;
  return { ok: false, problems: [{ code: 'bad-manifest', message: unreadable, origin: { source, line: 1, column: 1 } }] };
}

/** What one event made of the rules. */
export type RulesChange = {
  /** Of the bundle that changed, or that waited for the event. */
  readonly id: string;
  /** Whose rules those are. */
  readonly scope: RuleScope;
  /** The documents that the event brought, or that waited for it. */
  readonly sources: readonly RuleSource[];
  readonly before: RuleSet | undefined;
  readonly after: RuleSet | undefined;
  /** Why the documents were refused; the last good version of each stays in force. Empty where they were accepted. */
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** Something an operator should see although nothing was written wrongly. */
  readonly alert?: string;
};

/**
 * The rules in force, and how they change. Loading is atomic for each bundle: a bundle with a problem changes nothing.
 *
 * Rules that a namespace has of its own never stop the cluster: they count beside the cluster's, a bad bundle that has never been good is
 * left out, and a deleted one is gone at once.
 */
export type RuleBook = {
  /**
   * Undefined until there are rules of the cluster, and as long as a bundle of the opening has never been good: what it would have refused must not come
   * in, so nothing is judged before it is mended.
   */
  current(): RuleSet | undefined;
  /** Why `current` is undefined, in a person's words; undefined where it is not. */
  missing(): string | undefined;
  /**
   * All bundles there are, once, at the start. `lastGood` are versions that an earlier run accepted: they stand in for bundles that are bad
   * now, and for all when none is left.
   */
  open(bundles: readonly ReadBundle[], lastGood?: readonly ReadBundle[]): readonly RulesChange[];
  /** A new bundle, or a new version of one. */
  offer(read: ReadBundle): readonly RulesChange[];
  /** Several steps at once: what is in force is put together once, and all changes lead from what was before the first to what is after the last. */
  change(steps: readonly RulesStep[]): readonly RulesChange[];
  /**
   * The refusal of a namespace's bundle that is too much to be parsed, beside those of its namespace that are held already. `beside` is what
   * has been read of the namespace and is still to be offered.
   */
  refuseUnread(bundle: Bundle, beside?: RulesSize): ReadBundle | undefined;
  /** What `offer` would say of it, changing nothing. */
  preview(read: ReadBundle): Preview;
  /**
   * Rules of a namespace's bundle that have no effect beside the cluster's. One step for each rule: where the cluster has many rules, each
   * takes milliseconds.
   */
  widening(read: ReadBundle): Iterable<readonly Problem[]>;
  /** A bundle is gone, and its rules with it, unless it was the last: then they stay until somebody writes down that there are none. */
  withdraw(id: string): readonly RulesChange[];
  /** What is refused just now, until it is mended, replaced or deleted. */
  refused(): readonly RefusedBundle[];
  /** The cluster's versions in force, for the next run's `lastGood`. */
  accepted(): readonly Bundle[];
};

export type RulesStep = { readonly offer: ReadBundle } | { readonly withdraw: string };

export type RefusedBundle = { readonly scope: RuleScope; readonly problems: readonly Problem[] };

export type Preview = {
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** What would be in force for the cluster; undefined where there are problems, or would be no rules, and for rules of a namespace. */
  readonly ruleSet: RuleSet | undefined;
};

type Accepted = { readonly bundle: Bundle; readonly documents: readonly ParsedDocument[] };

type Trial = { readonly warnings: readonly Problem[] } & (
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] }
  /** No rule and no setting, in any bundle. */
  | { readonly kind: 'says-nothing' }
  | { readonly kind: 'good'; readonly documents: readonly ParsedDocument[]; readonly ruleSet: RuleSet }
  /** Rules of a namespace. */
  | { readonly kind: 'good-own'; readonly documents: readonly ParsedDocument[]; readonly rules: NamespaceRuleSet }
);

type Refused = {
  /** Its texts only where it may be accepted later and belongs to the cluster's rules, whose snapshot needs them. */
  readonly bundle: Bundle;
  /** Undefined where it is bad on its own. */
  readonly read: ReadBundle | undefined;
  /** Of its texts, which are not held. */
  readonly size: RulesSize;
  readonly problems: readonly Problem[];
};

/** A bundle of a namespace in force, without its texts. */
type OwnBundle = { readonly bundle: Bundle; readonly size: RulesSize };

/** Bundles of one namespace that are bad on their own and remembered. Of more, nothing is kept. */
const mostRefused = 20;

/** What became of one bundle. */
type Outcome = { readonly bundle: Bundle } & Pick<RulesChange, 'problems' | 'warnings' | 'alert'>;

/** `hash` as in `compileRuleSet`. */
export function createRuleBook(hash: (text: string) => string): RuleBook {
  const accepted = new Map<string, Accepted>();
  const own = createNamespaceBook();
  const ownBundles = createByScope<OwnBundle>();
  /** Latest versions that were refused; each is tried again when another bundle changes, since two may only be good together. */
  const refused = createByScope<Refused>();
  /** Bundles of the opening that have never been good. */
  const neverGood = new Set<string>();
  /** Accepted ones that are gone, and in force because no others are there. Whatever else is written takes their place. */
  const leftBehind = new Set<string>();
  let ofCluster: RuleSet | undefined;
  /** With the rules of namespaces; undefined until somebody asks after a change. */
  let united: RuleSet | undefined;
  let opened = false;

  function current(): RuleSet | undefined {
    if (neverGood.size > 0 || !ofCluster) return undefined;
    united ??= withNamespaceRules(ofCluster, own.rules, hash);
    return united;
  }

  /** Takes the bundle over if it is good, and otherwise remembers it. `size` is that of its texts, where they are not in it any more. */
  function tryBundle(read: ReadBundle, size = sizeOf(read.bundle)): Outcome {
    const { bundle } = read;
    const trial = tryOut(read);
    const { warnings } = trial;
    if (trial.kind === 'refused') {
      remember(read, trial.problems, size);
      return { bundle, problems: trial.problems, warnings };
    }
    refused.delete(bundle.id);
    neverGood.delete(bundle.id);
    if (trial.kind === 'says-nothing') {
      const alert = `${nameBundle(bundle)} is blank, and there are no other rules: ${ofCluster ? stayInForce : toHaveNone}`;
      return { bundle, problems: [], warnings, alert };
    }
    united = undefined;
    if (trial.kind === 'good-own') {
      own.put(bundle.id, trial.documents, trial.rules);
      ownBundles.put(bundle.id, scopeOf(bundle), { bundle: withoutTexts(bundle), size });
      return { bundle, problems: [], warnings };
    }
    for (const id of leftBehind) accepted.delete(id);
    leftBehind.clear();
    accepted.set(bundle.id, { bundle, documents: trial.documents });
    ofCluster = trial.ruleSet;
    return { bundle, problems: [], warnings };
  }

  /** What must be known of a refused bundle later; nothing that its author chose the size of. */
  function remember({ bundle, results }: ReadBundle, problems: readonly Problem[], size: RulesSize): void {
    const scope = scopeOf(bundle);
    const whole = results.every(({ ok }) => ok);
    refused.delete(bundle.id);
    const bare = withoutTexts(bundle);
    if (scope.kind === 'cluster') {
      refused.put(
        bundle.id,
        scope,
        whole ? { bundle, read: { bundle, results }, size, problems } : { bundle: bare, read: undefined, size, problems },
      );
      return;
    }
    // What is held for the others' sake counts as the namespace's, so that it is never too much.
    if (!whole && [...refused.of(scope).values()].filter(({ read }) => read === undefined).length >= mostRefused) return;
    refused.put(bundle.id, scope, { bundle: bare, read: whole ? { bundle: bare, results } : undefined, size, problems });
  }

  /**
   * What is held of a namespace's other bundles: the version in force, and one that was refused for what it says together with others. Of
   * the two the larger counts, so that what is in force is never more than is allowed, and what is held never more than twice as much.
   */
  function sizeOfOthers({ id, scope }: Bundle): RulesSize {
    if (scope?.kind !== 'namespace') return noRules;
    const sizes = new Map<string, RulesSize>();
    for (const [other, { size }] of ownBundles.of(scope)) sizes.set(other, size);
    for (const [other, { read, size }] of refused.of(scope)) if (read) sizes.set(other, largerOf(size, sizes.get(other) ?? noRules));
    sizes.delete(id);
    return [...sizes.values()].reduce(addSizes, noRules);
  }

  /** What would come of the bundle beside those that are accepted. */
  function tryOut({ bundle, results }: ReadBundle): Trial {
    const { kind } = scopeOf(bundle);
    const shown = (problems: readonly Problem[]) => (kind === 'namespace' ? firstProblems(problems, mostProblems[kind]) : problems);
    const warnings = shown(results.flatMap((result) => (result.ok ? result.warnings : [])));
    const parseProblems = results.flatMap((result) => (result.ok ? [] : result.problems));
    if (parseProblems.length > 0) return { kind: 'refused', problems: shown(parseProblems), warnings };

    const documents = results.flatMap((result) => (result.ok ? [result.document] : []));
    if (bundle.scope?.kind === 'namespace') {
      const compiled = own.compileWith(bundle.scope.namespace, bundle.id, documents);
      if (!compiled.ok) return { kind: 'refused', problems: shown(compiled.problems), warnings };
      return { kind: 'good-own', documents, rules: compiled.rules, warnings };
    }
    const others = [...accepted].filter(([id]) => id !== bundle.id && !leftBehind.has(id)).flatMap(([, entry]) => entry.documents);
    // Nothing written is no rule set: taken at its word, it would enforce and refuse every image.
    if ([...others, ...documents].every(({ blank }) => blank)) return { kind: 'says-nothing', warnings };
    // The bundle under test comes last, so that a contradiction is reported in it and not in what was good before.
    const compiled = compileRuleSet([...others, ...documents], hash);
    if (!compiled.ok) return { kind: 'refused', problems: compiled.problems, warnings };
    return { kind: 'good', documents, ruleSet: compiled.ruleSet, warnings };
  }

  /** Those that are of the same rules as what has changed. */
  function retryRefused(scope: RuleScope): Outcome[] {
    const outcomes: Outcome[] = [];
    for (let progress = true; progress; ) {
      progress = false;
      for (const { read, size } of [...refused.of(scope).values()]) {
        // What cannot be read on its own stays so, whatever the others say.
        if (read === undefined) continue;
        const outcome = tryBundle(read, size);
        if (outcome.problems.length > 0) continue;
        outcomes.push(outcome);
        progress = true;
      }
    }
    return outcomes;
  }

  function openCluster(bundles: readonly ReadBundle[], lastGood: readonly ReadBundle[]): readonly Outcome[] {
    const blank = bundles.filter(isBlank);
    if (blank.length === bundles.length) return [...standIn(lastGood), ...blank.map((read) => tryBundle(read))];
    const written = bundles.filter((read) => !blank.includes(read));
    const outcomes = (takeTogether(written) ?? written.map((read) => tryOrStandIn(read, lastGood))).concat(
      blank.map((read) => tryBundle(read)),
    );
    const retried = retryRefused({ kind: 'cluster' });
    for (const id of refused.of({ kind: 'cluster' }).keys()) if (!accepted.has(id)) neverGood.add(id);
    // Of what was refused at first and is good beside the others, only the second attempt counts.
    return [...outcomes.filter(({ problems, bundle }) => problems.length === 0 || refused.get(bundle.id)), ...retried];
  }

  /** The usual opening: all is good, and compiled once. Undefined where anything is wrong. */
  function takeTogether(bundles: readonly ReadBundle[]): Outcome[] | undefined {
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
    ofCluster = compiled.ruleSet;
    return entries.map(({ bundle, warnings }) => ({ bundle, problems: [], warnings }));
  }

  /** One of an opening with something wrong in it: the version that was good before counts beside the others, and may be what they need. */
  function tryOrStandIn(read: ReadBundle, lastGood: readonly ReadBundle[]): Outcome {
    const outcome = tryBundle(read);
    if (outcome.problems.length === 0) return outcome;
    const { bundle } = read;
    const earlier = lastGood.find((each) => each.bundle.id === bundle.id);
    const good = earlier !== undefined && tryBundle(earlier).problems.length === 0;
    remember(read, outcome.problems, sizeOf(bundle));
    return good ? { ...outcome, alert: `${nameBundle(bundle)}: ${earlierInForce}` } : outcome;
  }

  /** Every bundle is gone or blank: what was in force when the last run ended stays. */
  function standIn(lastGood: readonly ReadBundle[]): readonly Outcome[] {
    const outcomes = lastGood.map((read) => {
      const outcome = tryBundle(read);
      return outcome.problems.length > 0 || outcome.alert !== undefined
        ? outcome
        : { ...outcome, alert: `${nameBundle(read.bundle)} is gone or blank, and no other rules are there: ${stayInForce}` };
    });
    for (const id of accepted.keys()) leftBehind.add(id);
    return outcomes;
  }

  function withdrawFromCluster(id: string, { bundle }: Accepted): Outcome {
    const left = [...accepted].filter(([other]) => other !== id).flatMap(([, { documents }]) => documents);
    if (left.every(({ blank }) => blank)) {
      leftBehind.add(id);
      const alert = `${nameBundle(bundle)} was deleted, and no other rules would be left: ${stayInForce}`;
      return { bundle, problems: [], warnings: [], alert };
    }
    accepted.delete(id);
    united = undefined;
    const compiled = compileRuleSet(left, hash);
    // A set that was good without contradiction stays so with less in it.
    if (compiled.ok) ofCluster = compiled.ruleSet;
    return { bundle, problems: [], warnings: [] };
  }

  function change(steps: readonly RulesStep[]): readonly RulesChange[] {
    const before = current();
    return tell(
      steps.flatMap((step) => ('offer' in step ? take(step.offer) : drop(step.withdraw))),
      before,
    );
  }

  function take(read: ReadBundle): readonly Outcome[] {
    const outcome = tryWithinQuota(read);
    return outcome.problems.length > 0 ? [outcome] : [outcome, ...retryRefused(scopeOf(read.bundle))];
  }

  /** What was measured before it was read is measured once more: others of its namespace may have come meanwhile. */
  function tryWithinQuota(read: ReadBundle): Outcome {
    const { bundle, results } = read;
    const tooMuch = results.every(({ ok }) => ok) ? refuseUnread(bundle) : undefined;
    return tryBundle(tooMuch ?? read, sizeOf(bundle));
  }

  function refuseUnread(bundle: Bundle, beside = noRules): ReadBundle | undefined {
    const problem = refuseOverQuota(bundle, addSizes(sizeOfOthers(bundle), beside));
    return problem && { bundle: withoutTexts(bundle), results: [{ ok: false, problems: [problem] }] };
  }

  function drop(id: string): readonly Outcome[] {
    const entry = accepted.get(id);
    const bundle = ownBundles.get(id)?.bundle ?? refused.get(id)?.bundle;
    refused.delete(id);
    const wasNeverGood = neverGood.delete(id);
    if (entry) return [withdrawFromCluster(id, entry), ...retryRefused({ kind: 'cluster' })];

    ownBundles.delete(id);
    if (!bundle) return [];
    const wasInForce = own.drop(id);
    const freed = wasInForce ? retryRefused(scopeOf(bundle)) : [];
    united = undefined;
    // A bundle of the cluster's that has never been good may have kept the others shut.
    const opens = wasNeverGood && neverGood.size === 0 && ofCluster !== undefined;
    return wasInForce || opens ? [{ bundle, problems: [], warnings: [] }, ...freed] : [];
  }

  function tell(outcomes: readonly Outcome[], before: RuleSet | undefined): readonly RulesChange[] {
    const after = current();
    return outcomes.map(({ bundle, ...told }) => ({
      id: bundle.id,
      scope: scopeOf(bundle),
      sources: (bundle.scope?.kind === 'namespace' ? bundle.documents.slice(0, mostSources) : bundle.documents).map(({ source }) => source),
      before,
      after,
      ...told,
    }));
  }

  return {
    current,
    missing() {
      if (!opened) return 'the rules have not been read yet';
      if (neverGood.size > 0) return `rules with problems: ${[...neverGood].join(', ')}`;
      return ofCluster ? undefined : 'there are no rules';
    },
    open(bundles, lastGood = []) {
      const ofNamespaces = bundles.filter(({ bundle }) => scopeOf(bundle).kind === 'namespace');
      const outcomes = [
        ...openCluster(
          bundles.filter((read) => !ofNamespaces.includes(read)),
          lastGood,
        ),
        ...ofNamespaces.map(tryWithinQuota),
      ];
      united = undefined;
      opened = true;
      // Nobody could see the steps in between: all changes lead from nothing to what is in force now.
      return tell(outcomes, undefined);
    },
    offer: (read) => change([{ offer: read }]),
    change,
    refuseUnread,
    preview(read) {
      const trial = tryOut(read);
      const { warnings } = trial;
      if (trial.kind === 'refused') return { problems: trial.problems, warnings, ruleSet: undefined };
      return { problems: [], warnings, ruleSet: trial.kind === 'good' ? trial.ruleSet : undefined };
    },
    *widening({ bundle: { scope }, results }) {
      if (scope?.kind !== 'namespace' || !ofCluster) return;
      const { namespace } = scope;
      const rules = results.flatMap((result) => (result.ok ? result.document.rules : [])).slice(0, mostLookedAt(ofCluster));
      for (const rule of rules) yield ofCluster ? widening(ofCluster, { namespace, rules: [rule] }) : [];
    },
    withdraw: (id) => change([{ withdraw: id }]),
    refused: () => refused.all().map(({ bundle, problems }) => ({ scope: scopeOf(bundle), problems })),
    accepted: () => [...accepted.values()].map(({ bundle }) => bundle),
  };
}

const earlierInForce = 'the version that was good before this server started is in force';
const toHaveNone = 'to have none, write a document "rules: []"';
const stayInForce = `the last rules stay in force; ${toHaveNone}`;

function scopeOf({ scope }: Bundle): RuleScope {
  return scope ?? { kind: 'cluster' };
}

/** What names it, where nothing of its texts is needed any more; of a namespace's with very many documents, the first. */
function withoutTexts({ id, scope, version, again, documents }: Bundle): Bundle {
  const named = scope?.kind === 'namespace' ? documents.slice(0, mostSources) : documents;
  return {
    id,
    ...(scope && { scope }),
    ...(version !== undefined && { version }),
    ...(again && { again }),
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
