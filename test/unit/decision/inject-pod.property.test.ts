import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Facts } from '../../../src/decision/facts.ts';
import { ruleSetOf } from '../rules/documents.ts';
import { change, decided, deployment, inject, type PodObject, patched, unwatched } from './changes.ts';

const names = ['a', 'b', 'c', 'd', 'e'] as const;
const registries = ['r0.io', 'r1.io', 'r2.io'] as const;

const someNames = fc.uniqueArray(fc.constantFrom(...names));
const secretsOfRules = fc.array(fc.uniqueArray(fc.constantFrom(...names), { maxLength: 2 }), { minLength: 3, maxLength: 3 });
const ruleSets = secretsOfRules.map((lists) =>
  ruleSetOf(
    `rules:\n${lists.map((list, index) => `- {registry: ${registries[index]}, pullSecret: ${JSON.stringify(list)}}`).join('\n')}`.replaceAll(
      ', pullSecret: []',
      '',
    ),
  ),
);
const account = fc.record({ pullSecrets: someNames, onlyListedSecrets: fc.boolean() });
const absent = fc.constantFrom(undefined, null);
const entry = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...names).map((name) => ({ name })) },
  fc.constantFrom({}, null, { name: '' }),
);
const list = fc.oneof(absent, fc.array(entry, { maxLength: 5 }));
const mark = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ rules: someNames, serviceAccount: someNames }, { requiredKeys: [] }).map((value) => JSON.stringify(value)),
  },
  fc.constantFrom('', 'x', '[]', '{"rules":5}'),
);
const annotations = fc.oneof(absent, fc.record({ 'regkeeper.io/injected': mark, other: fc.constant('x') }, { requiredKeys: [] }));
const metadata = fc.oneof(absent, fc.record({ name: fc.constant('web'), annotations }, { requiredKeys: [] }));
const images = fc.array(
  fc.tuple(fc.constantFrom(...registries, 'unknown.io'), fc.constantFrom('x', 'y')).map(([host, path]) => `${host}/${path}`),
  { minLength: 1, maxLength: 3 },
);
const templates = fc.record({ metadata, images, list, robot: fc.boolean() }).map(({ metadata, images, list, robot }) => ({
  ...(metadata !== undefined && { metadata }),
  spec: {
    containers: images.map((image, index) => ({ name: `c${index}`, image })),
    ...(list !== undefined && { imagePullSecrets: list }),
    ...(robot && { serviceAccountName: 'robot' }),
  },
})) as unknown as fc.Arbitrary<PodObject>;

type Account = { pullSecrets: readonly string[]; onlyListedSecrets: boolean };
const factsOf = (known: Account, robot: Account): Facts => ({
  ...unwatched,
  serviceAccount: (_namespace, name) => ({ kind: 'known', ...(name === 'robot' ? robot : known) }),
});

test('a pod ends with all credentials it had, and a second pass adds none', () => {
  fc.assert(
    fc.property(templates, ruleSets, account, (object, rules, known) => {
      const before = effectiveCredentials(object, known);
      const after = inject(change('Pod', object), rules, factsOf(known, known));
      expect(entriesOf(after).slice(0, entriesOf(object).length), 'entries keep their order').toEqual(entriesOf(object));
      expect(credentialNames(after)).toEqual(expect.arrayContaining([...before]));
    }),
    { numRuns: 1500 },
  );
});

test('a template keeps all that its author listed in order, and a second pass changes nothing', () => {
  fc.assert(
    fc.property(templates, ruleSets, account, (object, rules, known) => {
      const ours = marked(object);
      const authored = entriesOf(object).filter((item) => !ours.has(nameOf(item)));
      const after = inject(change('Deployment', deployment(object)), rules, factsOf(known, known)).spec.template;
      const left = marked(after);
      expect(
        entriesOf(after)
          .filter((item) => !left.has(nameOf(item)))
          .filter((item) => !ours.has(nameOf(item))),
      ).toEqual(authored);
    }),
    { numRuns: 1500 },
  );
});

test('an update of a template gives a patch that applies, and settles after it', () => {
  fc.assert(
    fc.property(templates, templates, ruleSets, account, account, (old, now, rules, known, robot) => {
      inject(change('StatefulSet', deployment(now), deployment(old)), rules, factsOf(known, robot));
    }),
    { numRuns: 1500 },
  );
});

test("applying the author's file again after an injection never changes the template", () => {
  fc.assert(
    fc.property(templates, ruleSets, account, (authored, rules, known) => {
      fc.pre(marked(authored).size === 0);
      const facts = factsOf(known, known);
      const stored = inject(change('Deployment', deployment(authored)), rules, facts);
      const again = deployment(authored);
      expect(tidy(patched(again, decided(change('Deployment', again, stored), rules, facts)))).toEqual(tidy(stored));
    }),
    { numRuns: 800 },
  );
});

/** What the kubelet could use without us: the list, and the account's secrets where nobody but us filled the list. */
function effectiveCredentials(object: PodObject, known: Account): ReadonlySet<string> {
  const ours = marked(object);
  const pristine = entriesOf(object).every((item) => ours.has(nameOf(item)));
  // Where nothing of ours stands in the list, the API server has copied the account's before us.
  const copied = pristine && entriesOf(object).length > 0 ? known.pullSecrets : [];
  return new Set([...credentialNames(object), ...copied]);
}

function marked({ metadata }: PodObject): ReadonlySet<string> {
  try {
    const mark = JSON.parse(metadata?.annotations?.['regkeeper.io/injected'] ?? '{}');
    return new Set([mark.rules, mark.serviceAccount].flatMap((names) => (Array.isArray(names) ? names : [])));
  } catch {
    return new Set();
  }
}

function entriesOf({ spec }: PodObject): readonly unknown[] {
  return (spec.imagePullSecrets as unknown[] | null | undefined) ?? [];
}

function credentialNames(object: PodObject): string[] {
  return entriesOf(object)
    .map(nameOf)
    .filter((name) => name !== '');
}

function nameOf(item: unknown): string {
  return (item as { name?: string } | null)?.name ?? '';
}

/** Null, empty and absent are one to the API server. */
function tidy(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_key, inner) => {
    const empty = inner === null || (typeof inner === 'object' && !Array.isArray(inner) && Object.keys(inner).length === 0);
    return empty ? undefined : Array.isArray(inner) && inner.length === 0 ? undefined : inner;
  });
}
