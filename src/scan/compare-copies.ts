/** Which namespaces gain or lose a delivered copy of a secret by a change of the rules. */
import { compareTexts } from '../rules/compare-texts.ts';
import { entitledSecret } from '../rules/match/entitlement.ts';
import type { RuleSet } from '../rules/rule-set.ts';

/** Namespaces are sorted. At least one of the lists has some. */
export type CopyChange = { readonly secret: string; readonly gained: readonly string[]; readonly lost: readonly string[] };

/** Which secrets the objects of a namespace need. */
export type Needs = { add(namespace: string, secrets: readonly string[]): void; has(namespace: string, secret: string): boolean };

export function createNeeds(): Needs {
  const byNamespace = new Map<string, Set<string>>();
  return {
    add(namespace, secrets) {
      if (secrets.length === 0) return;
      const known = byNamespace.get(namespace) ?? new Set<string>();
      byNamespace.set(namespace, known);
      for (const secret of secrets) known.add(secret);
    },
    has: (namespace, secret) => byNamespace.get(namespace)?.has(secret) === true,
  };
}

export type CopiesInput = {
  readonly before: RuleSet;
  readonly after: RuleSet;
  readonly needs: { readonly before: Needs; readonly after: Needs };
  readonly namespaces: readonly NamespaceWithLabels[];
  readonly isCovered: (namespace: string) => boolean;
};

export type NamespaceWithLabels = { readonly name: string; readonly labels: Readonly<Record<string, string>> | undefined };

/** A copy that nothing needs any more is deleted after `retain`, so it counts as lost. */
export function compareCopies({ before, after, needs, namespaces, isCovered }: CopiesInput): readonly CopyChange[] {
  const secrets = [...new Set([before, after].flatMap(({ deliveredSecrets }) => deliveredSecrets.map(({ name }) => name)))];
  return secrets.sort(compareTexts).flatMap((secret): readonly CopyChange[] => {
    const [gained, lost]: [string[], string[]] = [[], []];
    for (const { name, labels } of namespaces) {
      const place = { namespace: name, labels, excluded: !isCovered(name) };
      const has = (rules: RuleSet, needed: Needs) => {
        const entry = entitledSecret(rules, secret, place);
        return entry !== undefined && (entry.deliver === 'always' || needed.has(name, secret));
      };
      const [had, hasNow] = [has(before, needs.before), has(after, needs.after)];
      if (hasNow && !had) gained.push(name);
      if (had && !hasNow) lost.push(name);
    }
    return gained.length + lost.length === 0 ? [] : [{ secret, gained: gained.sort(compareTexts), lost: lost.sort(compareTexts) }];
  });
}
