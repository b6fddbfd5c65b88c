import { compileRuleSet } from './compile.ts';
import { type ParsedDocument, parseRulesDocument } from './parse.ts';
import type { Problem, RuleSource } from './problem.ts';
import type { RuleSet } from './ruleset.ts';

/** Documents that are accepted or refused together: the keys of one ConfigMap, or one file. */
export type Bundle = {
  /** Stays the same over the versions of the bundle. */
  readonly id: string;
  /** The source's own name for this version, if it has one. */
  readonly version?: string;
  readonly documents: readonly { readonly source: RuleSource; readonly text: string }[];
};

/** What one event made of the rules. */
export type RulesChange = {
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
  open(bundles: readonly Bundle[], lastGood?: readonly Bundle[]): readonly RulesChange[];
  /** A new bundle, or a new version of one. */
  offer(bundle: Bundle): readonly RulesChange[];
  /** A bundle is gone, and its rules with it, unless it was the last: then they stay until somebody writes down that there are none. */
  withdraw(id: string): readonly RulesChange[];
  /** The versions in force, for the next run's `lastGood`. */
  accepted(): readonly Bundle[];
};

type Accepted = { readonly bundle: Bundle; readonly documents: readonly ParsedDocument[] };

/** `hash` as in `compileRuleSet`. */
export function createRuleBook(hash: (text: string) => string): RuleBook {
  const accepted = new Map<string, Accepted>();
  /** Latest versions that were refused; each is tried again when another bundle changes, since two may only be good together. */
  const refused = new Map<string, Bundle>();
  /** Bundles of the opening that have never been good. */
  const neverGood = new Set<string>();
  let ruleSet: RuleSet | undefined;
  let opened = false;

  const current = () => (neverGood.size === 0 ? ruleSet : undefined);

  function tryBundle(bundle: Bundle): RulesChange {
    const before = current();
    const sources = bundle.documents.map(({ source }) => source);
    const results = bundle.documents.map(({ text, source }) => parseRulesDocument(text, source));
    const warnings = results.flatMap((result) => (result.ok ? result.warnings : []));
    const parseProblems = results.flatMap((result) => (result.ok ? [] : result.problems));
    if (parseProblems.length > 0) return refuse(bundle, { sources, before, problems: parseProblems, warnings });

    const documents = results.flatMap((result) => (result.ok ? [result.document] : []));
    const next = new Map(accepted).set(bundle.id, { bundle, documents });
    // Nothing written is no rule set: taken at its word, it would enforce and refuse every image.
    if (saysNothing(next)) {
      refused.delete(bundle.id);
      neverGood.delete(bundle.id);
      const alert = `${nameBundle(bundle)} is blank, and there are no other rules: ${ruleSet ? stayInForce : toHaveNone}`;
      return { sources, before, after: current(), problems: [], warnings, alert };
    }
    // The bundle under test comes last, so that a contradiction is reported in it and not in what was good before.
    const inOrder = [...[...next.values()].filter(({ bundle: { id } }) => id !== bundle.id), { bundle, documents }];
    const compiled = compileRuleSet(
      inOrder.flatMap((entry) => entry.documents),
      hash,
    );
    if (!compiled.ok) return refuse(bundle, { sources, before, problems: compiled.problems, warnings });

    accepted.set(bundle.id, { bundle, documents });
    refused.delete(bundle.id);
    neverGood.delete(bundle.id);
    ruleSet = compiled.ruleSet;
    return { sources, before, after: current(), problems: [], warnings };
  }

  function refuse(bundle: Bundle, change: Omit<RulesChange, 'after'>): RulesChange {
    refused.set(bundle.id, bundle);
    return { ...change, after: change.before };
  }

  function retryRefused(): RulesChange[] {
    const changes: RulesChange[] = [];
    for (let progress = true; progress; ) {
      progress = false;
      for (const bundle of [...refused.values()]) {
        const change = tryBundle(bundle);
        if (change.problems.length > 0) continue;
        changes.push(change);
        progress = true;
      }
    }
    return changes;
  }

  /** Every bundle is gone or blank: what was in force when the last run ended stays. */
  function standIn(lastGood: readonly Bundle[]): readonly RulesChange[] {
    return lastGood.map((bundle) => {
      const change = tryBundle(bundle);
      return change.problems.length > 0 || change.alert !== undefined
        ? change
        : { ...change, alert: `${nameBundle(bundle)} is gone or blank, and no other rules are there: ${stayInForce}` };
    });
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
      const written = bundles.filter((bundle) => !blank.includes(bundle));
      const changes = [...written, ...blank].map((bundle) => {
        const change = tryBundle(bundle);
        if (change.problems.length === 0) return { bundle, change };
        const earlier = lastGood.find(({ id }) => id === bundle.id);
        const good = earlier !== undefined && tryBundle(earlier).problems.length === 0;
        refused.set(bundle.id, bundle);
        return { bundle, change: good ? { ...change, alert: `${nameBundle(bundle)}: ${earlierInForce}` } : change };
      });
      const retried = retryRefused();
      for (const { id } of refused.values()) if (!accepted.has(id)) neverGood.add(id);
      const still = changes
        .filter(({ bundle, change }) => change.problems.length === 0 || refused.has(bundle.id))
        .map(({ change }) => change);
      // Nobody could see the steps in between: all changes lead from nothing to what is in force now.
      return [...still, ...retried].map((change) => ({ ...change, before: undefined, after: current() }));
    },
    offer(bundle) {
      const change = tryBundle(bundle);
      return change.problems.length > 0 ? [change] : [change, ...retryRefused()];
    },
    withdraw(id) {
      const before = current();
      const entry = accepted.get(id);
      const sources = (entry?.bundle ?? refused.get(id))?.documents.map(({ source }) => source) ?? [];
      refused.delete(id);
      neverGood.delete(id);
      // One that has never been good may have kept the others shut.
      if (!entry) return current() === before ? [] : [{ sources, before, after: current(), problems: [], warnings: [] }];
      const next = new Map(accepted);
      next.delete(id);
      if (saysNothing(next)) {
        return [
          {
            sources,
            before,
            after: before,
            problems: [],
            warnings: [],
            alert: `${nameBundle(entry.bundle)} was deleted, and no other rules would be left: ${stayInForce}`,
          },
        ];
      }
      accepted.delete(id);
      const compiled = compileRuleSet(
        [...next.values()].flatMap(({ documents }) => documents),
        hash,
      );
      // A set that was good without contradiction stays so with less in it.
      if (compiled.ok) ruleSet = compiled.ruleSet;
      return [{ sources, before, after: current(), problems: [], warnings: [] }, ...retryRefused()];
    },
    accepted: () => [...accepted.values()].map(({ bundle }) => bundle),
  };
}

const earlierInForce = 'the version that was good before this server started is in force';
const toHaveNone = 'to have none, write a document "rules: []"';
const stayInForce = `the last rules stay in force; ${toHaveNone}`;

function isBlank({ documents }: Bundle): boolean {
  return documents.every(({ text, source }) => {
    const result = parseRulesDocument(text, source);
    return result.ok && result.document.blank;
  });
}

/** No rule and no setting, in any of them. */
function saysNothing(bundles: ReadonlyMap<string, Accepted>): boolean {
  return [...bundles.values()].every(({ documents }) => documents.every(({ blank }) => blank));
}

function nameBundle(bundle: Bundle): string {
  const [first] = bundle.documents;
  if (!first) return bundle.id;
  return first.source.kind === 'file' ? first.source.file : `ConfigMap ${first.source.namespace}/${first.source.name}`;
}
