import { compileRuleSet } from './compile.ts';
import { type ParsedDocument, type ParseResult, parseRulesDocument, type RuleScope } from './parse.ts';
import type { Problem, RuleSource } from './problem.ts';
import type { RuleSet } from './ruleset.ts';

/** Documents that are accepted or refused together: the keys of one ConfigMap, or one file. */
export type Bundle = {
  /** Stays the same over the versions of the bundle. */
  readonly id: string;
  /** Whose rules it holds; the cluster's unless told. */
  readonly scope?: RuleScope;
  /** The source's own name for this version, if it has one. */
  readonly version?: string;
  readonly documents: readonly BundleText[];
};

export type BundleText = { readonly source: RuleSource; readonly text: string };

/** A bundle and what parsing each of its documents gave, in their order. */
export type ReadBundle = { readonly bundle: Bundle; readonly results: readonly ParseResult[] };

/** Parses all of a bundle at once; where requests wait meanwhile, it is read in turns instead. */
export function readBundle(bundle: Bundle): ReadBundle {
  return { bundle, results: bundle.documents.map(({ text, source }) => parseRulesDocument(text, source, bundle.scope)) };
}

/** What one event made of the rules. */
export type RulesChange = {
  /** Of the bundle that changed, or that waited for the event. */
  readonly id: string;
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

/** The rules in force, and how they change. Loading is atomic for each bundle: a bundle with a problem changes nothing. */
export type RuleBook = {
  /**
   * Undefined until there are rules, and as long as a bundle of the opening has never been good: what it would have refused must not come
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
  /** What `offer` would say of it, changing nothing. */
  preview(read: ReadBundle): Preview;
  /** A bundle is gone, and its rules with it, unless it was the last: then they stay until somebody writes down that there are none. */
  withdraw(id: string): readonly RulesChange[];
  /** The versions in force, for the next run's `lastGood`. */
  accepted(): readonly Bundle[];
};

export type Preview = {
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** What would be in force; undefined where there are problems, or would be no rules. */
  readonly ruleSet: RuleSet | undefined;
};

type Accepted = { readonly bundle: Bundle; readonly documents: readonly ParsedDocument[] };

type Trial = { readonly warnings: readonly Problem[] } & (
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] }
  /** No rule and no setting, in any bundle. */
  | { readonly kind: 'says-nothing' }
  | { readonly kind: 'good'; readonly documents: readonly ParsedDocument[]; readonly ruleSet: RuleSet }
);

/** `hash` as in `compileRuleSet`. */
export function createRuleBook(hash: (text: string) => string): RuleBook {
  const accepted = new Map<string, Accepted>();
  /** Latest versions that were refused; each is tried again when another bundle changes, since two may only be good together. */
  const refused = new Map<string, ReadBundle>();
  /** Bundles of the opening that have never been good. */
  const neverGood = new Set<string>();
  /** Accepted ones that are gone, and in force because no others are there. Whatever else is written takes their place. */
  const leftBehind = new Set<string>();
  let ruleSet: RuleSet | undefined;
  let opened = false;

  const current = () => (neverGood.size === 0 ? ruleSet : undefined);

  function tryBundle(read: ReadBundle): RulesChange {
    const { bundle } = read;
    const before = current();
    const trial = tryOut(read);
    const { warnings } = trial;
    if (trial.kind === 'refused') {
      refused.set(bundle.id, read);
      return changeOf(bundle, { before, problems: trial.problems, warnings });
    }
    refused.delete(bundle.id);
    neverGood.delete(bundle.id);
    if (trial.kind === 'says-nothing') {
      const alert = `${nameBundle(bundle)} is blank, and there are no other rules: ${ruleSet ? stayInForce : toHaveNone}`;
      return changeOf(bundle, { before, problems: [], warnings, alert });
    }
    for (const id of leftBehind) accepted.delete(id);
    leftBehind.clear();
    accepted.set(bundle.id, { bundle, documents: trial.documents });
    ruleSet = trial.ruleSet;
    return changeOf(bundle, { before, problems: [], warnings });
  }

  function changeOf(bundle: Bundle, told: Pick<RulesChange, 'before' | 'problems' | 'warnings' | 'alert'>): RulesChange {
    return { id: bundle.id, sources: bundle.documents.map(({ source }) => source), after: current(), ...told };
  }

  /** What would come of the bundle beside those that are accepted. */
  function tryOut({ bundle, results }: ReadBundle): Trial {
    const warnings = results.flatMap((result) => (result.ok ? result.warnings : []));
    const parseProblems = results.flatMap((result) => (result.ok ? [] : result.problems));
    if (parseProblems.length > 0) return { kind: 'refused', problems: parseProblems, warnings };

    const documents = results.flatMap((result) => (result.ok ? [result.document] : []));
    const others = [...accepted].filter(([id]) => id !== bundle.id && !leftBehind.has(id)).flatMap(([, entry]) => entry.documents);
    // Nothing written is no rule set: taken at its word, it would enforce and refuse every image.
    if ([...others, ...documents].every(({ blank }) => blank)) return { kind: 'says-nothing', warnings };
    // The bundle under test comes last, so that a contradiction is reported in it and not in what was good before.
    const compiled = compileRuleSet([...others, ...documents], hash);
    if (!compiled.ok) return { kind: 'refused', problems: compiled.problems, warnings };
    return { kind: 'good', documents, ruleSet: compiled.ruleSet, warnings };
  }

  function retryRefused(): RulesChange[] {
    const changes: RulesChange[] = [];
    for (let progress = true; progress; ) {
      progress = false;
      for (const read of [...refused.values()]) {
        // What cannot be read on its own stays so, whatever the others say.
        if (read.results.some(({ ok }) => !ok)) continue;
        const change = tryBundle(read);
        if (change.problems.length > 0) continue;
        changes.push(change);
        progress = true;
      }
    }
    return changes;
  }

  /** The usual opening: all is good, and compiled once. Undefined where anything is wrong. */
  function takeTogether(bundles: readonly ReadBundle[]): RulesChange[] | undefined {
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
    ruleSet = compiled.ruleSet;
    return entries.map(({ bundle, warnings }) => changeOf(bundle, { before: undefined, problems: [], warnings }));
  }

  /** One of an opening with something wrong in it: the version that was good before counts beside the others, and may be what they need. */
  function tryOrStandIn(read: ReadBundle, lastGood: readonly ReadBundle[]): RulesChange {
    const change = tryBundle(read);
    if (change.problems.length === 0) return change;
    const { bundle } = read;
    const earlier = lastGood.find((each) => each.bundle.id === bundle.id);
    const good = earlier !== undefined && tryBundle(earlier).problems.length === 0;
    refused.set(bundle.id, read);
    return good ? { ...change, alert: `${nameBundle(bundle)}: ${earlierInForce}` } : change;
  }

  /** Every bundle is gone or blank: what was in force when the last run ended stays. */
  function standIn(lastGood: readonly ReadBundle[]): readonly RulesChange[] {
    const changes = lastGood.map((read) => {
      const change = tryBundle(read);
      return change.problems.length > 0 || change.alert !== undefined
        ? change
        : { ...change, alert: `${nameBundle(read.bundle)} is gone or blank, and no other rules are there: ${stayInForce}` };
    });
    for (const id of accepted.keys()) leftBehind.add(id);
    return changes;
  }

  return {
    current,
    missing() {
      if (!opened) return 'the rules have not been read yet';
      if (neverGood.size > 0) return `rules with problems: ${[...neverGood].join(', ')}`;
      return ruleSet ? undefined : 'there are no rules';
    },
    open(bundles, lastGood = []) {
      opened = true;
      const blank = bundles.filter(isBlank);
      if (blank.length === bundles.length) return [...standIn(lastGood), ...blank.map(tryBundle)];
      const written = bundles.filter((read) => !blank.includes(read));
      const changes = (takeTogether(written) ?? written.map((read) => tryOrStandIn(read, lastGood))).concat(blank.map(tryBundle));
      const retried = retryRefused();
      for (const id of refused.keys()) if (!accepted.has(id)) neverGood.add(id);
      // Of what was refused at first and is good beside the others, only the second attempt counts.
      const still = changes.filter(({ problems, id }) => problems.length === 0 || refused.has(id));
      // Nobody could see the steps in between: all changes lead from nothing to what is in force now.
      return [...still, ...retried].map((change) => ({ ...change, before: undefined, after: current() }));
    },
    offer(read) {
      const change = tryBundle(read);
      return change.problems.length > 0 ? [change] : [change, ...retryRefused()];
    },
    preview(read) {
      const trial = tryOut(read);
      const { warnings } = trial;
      if (trial.kind === 'refused') return { problems: trial.problems, warnings, ruleSet: undefined };
      return { problems: [], warnings, ruleSet: trial.kind === 'good' ? trial.ruleSet : undefined };
    },
    withdraw(id) {
      const before = current();
      const entry = accepted.get(id);
      const bundle = entry?.bundle ?? refused.get(id)?.bundle ?? { id, documents: [] };
      const told = { before, problems: [], warnings: [] };
      refused.delete(id);
      neverGood.delete(id);
      // One that has never been good may have kept the others shut.
      if (!entry) return current() === before ? [] : [changeOf(bundle, told)];
      const left = [...accepted].filter(([other]) => other !== id).flatMap(([, { documents }]) => documents);
      if (left.every(({ blank }) => blank)) {
        leftBehind.add(id);
        return [
          changeOf(bundle, { ...told, alert: `${nameBundle(bundle)} was deleted, and no other rules would be left: ${stayInForce}` }),
        ];
      }
      accepted.delete(id);
      const compiled = compileRuleSet(left, hash);
      // A set that was good without contradiction stays so with less in it.
      if (compiled.ok) ruleSet = compiled.ruleSet;
      return [changeOf(bundle, told), ...retryRefused()];
    },
    accepted: () => [...accepted.values()].map(({ bundle }) => bundle),
  };
}

const earlierInForce = 'the version that was good before this server started is in force';
const toHaveNone = 'to have none, write a document "rules: []"';
const stayInForce = `the last rules stay in force; ${toHaveNone}`;

function isBlank({ results }: ReadBundle): boolean {
  return results.every((result) => result.ok && result.document.blank);
}

function nameBundle(bundle: Bundle): string {
  const [first] = bundle.documents;
  if (!first) return bundle.id;
  return first.source.kind === 'file' ? first.source.file : `ConfigMap ${first.source.namespace}/${first.source.name}`;
}
