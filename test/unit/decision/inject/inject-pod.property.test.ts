/** Properties of injection into pods and templates: order, superset, idempotence, and no change without need. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Facts } from '../../../../src/decision/facts.ts';
import { runs } from '../../../property.ts';
import { ruleSetOf } from '../../rules/documents.ts';
import { change, decided, deployment, inject, type PodObject, patched, unwatched } from '../changes.ts';

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

test('a Pod keeps all its credentials, and a second pass adds none', () => {
  fc.assert(
    fc.property(templates, ruleSets, account, (object, rules, known) => {
      const before = effectiveCredentials(object, known);
      const after = inject(change('Pod', object), rules, factsOf(known, known));
      expect(entriesOf(after).slice(0, entriesOf(object).length), 'entries keep their order').toEqual(entriesOf(object));
      expect(credentialNames(after)).toEqual(expect.arrayContaining([...before]));
    }),
    runs(1500),
  );
});

test('a template keeps what its author listed, in order, and a second pass changes nothing', () => {
  fc.assert(
    fc.property(templates, ruleSets, account, (object, rules, known) => {
      const ours = marked(object);
      const userSupplied = entriesOf(object).filter((item) => !ours.has(nameOf(item)));
      const after = inject(change('Deployment', deployment(object)), rules, factsOf(known, known)).spec.template;
      const left = marked(after);
      expect(
        entriesOf(after)
          .filter((item) => !left.has(nameOf(item)))
          .filter((item) => !ours.has(nameOf(item))),
      ).toEqual(userSupplied);
    }),
    runs(1500),
  );
});

test('an update of a template produces a valid patch, and a second pass changes nothing', () => {
  fc.assert(
    fc.property(templates, templates, ruleSets, account, account, (old, now, rules, known, robot) => {
      inject(change('StatefulSet', deployment(now), deployment(old)), rules, factsOf(known, robot));
    }),
    runs(1500),
  );
});

test("applying the author's file again after an injection never changes the template", () => {
  fc.assert(
    fc.property(templates, ruleSets, account, (file, rules, known) => {
      fc.pre(marked(file).size === 0);
      const facts = factsOf(known, known);
      const stored = inject(change('Deployment', deployment(file)), rules, facts);
      const again = deployment(file);
      expect(tidy(patched(again, decided(change('Deployment', again, stored), rules, facts)))).toEqual(tidy(stored));
    }),
    runs(800),
  );
});

/*
 * From the template to the Pod, as in a cluster. The webhook mutates the template. The service account may change. The Pod is created from
 * the template, and the API server copies the account's secrets into an empty list (plugin/pkg/admission/serviceaccount). Then the webhook
 * mutates the Pod, or is unavailable.
 */
describe('the Pods of a template have all credentials that they would have without regkeeper', () => {
  const unmarkedTemplates = templates.filter((object) => marked(object).size === 0);

  test('even if the service account has changed meanwhile', () => {
    fc.assert(
      fc.property(unmarkedTemplates, ruleSets, ruleSets, account, account, (object, then, now, before, after) => {
        const without = admitted(podOf(object), after);
        const template = inject(change('Deployment', deployment(object)), then, factsOf(before, before)).spec.template;
        const pod = inject(change('Pod', admitted(podOf(template), after)), now, factsOf(after, after));
        expect(credentialNames(pod)).toEqual(expect.arrayContaining(credentialNames(without)));
      }),
      runs(1500),
    );
  });

  test('even if regkeeper is unavailable when the Pod is created', () => {
    fc.assert(
      fc.property(unmarkedTemplates, ruleSets, account, (object, rules, known) => {
        const without = admitted(podOf(object), known);
        const template = inject(change('CronJob', cronJob(object)), rules, factsOf(known, known)).spec.jobTemplate.spec.template;
        expect(credentialNames(admitted(podOf(template), known))).toEqual(expect.arrayContaining(credentialNames(without)));
      }),
      runs(1500),
    );
  });

  test('even if its images and its account have changed, as long as its author lists none', () => {
    fc.assert(
      fc.property(images, images, ruleSets, account, account, fc.boolean(), (first, second, rules, own, other, moves) => {
        const facts = factsOf(own, other);
        const of = (list: readonly string[], stored?: PodObject): PodObject => ({
          ...stored,
          spec: {
            ...stored?.spec,
            containers: list.map((image, index) => ({ name: `c${index}`, image })),
            ...(stored && moves && { serviceAccountName: 'robot' }),
          },
        });
        const stored = inject(change('Deployment', deployment(of(first))), rules, facts);
        const updated = deployment(of(second, stored.spec.template));
        const after = inject(change('Deployment', updated, stored), rules, facts).spec.template;
        const known = moves ? other : own;
        const pod = inject(change('Pod', admitted(podOf(after), known)), rules, facts);
        expect(credentialNames(pod)).toEqual(expect.arrayContaining([...known.pullSecrets]));
      }),
      runs(1500),
    );
  });

  test('and a Pod without a user-supplied list has those of its account, whatever mark it has', () => {
    fc.assert(
      fc.property(templates, ruleSets, account, (object, rules, known) => {
        const bare = { ...object, spec: { ...object.spec, imagePullSecrets: null } };
        const pod = inject(change('Pod', admitted(podOf(bare), known)), rules, factsOf(known, known));
        expect(credentialNames(pod)).toEqual(expect.arrayContaining([...known.pullSecrets]));
      }),
      runs(1000),
    );
  });
});

function podOf({ metadata, spec }: PodObject): PodObject {
  return structuredClone({ ...(metadata != null && { metadata }), spec });
}

/** The Pod after the API server's own admission, which runs before any webhook. */
function admitted(object: PodObject, { pullSecrets }: Account): PodObject {
  if (entriesOf(object).length > 0) return object;
  return { ...object, spec: { ...object.spec, imagePullSecrets: pullSecrets.map((name) => ({ name })) } };
}

function cronJob(template: PodObject) {
  return { metadata: { name: 'web' }, spec: { jobTemplate: { spec: { template } } } };
}

/** What the kubelet could use without us: the list, and the account's secrets if the list has only our entries. */
function effectiveCredentials(object: PodObject, known: Account): ReadonlySet<string> {
  const ours = marked(object);
  const onlyOurs = entriesOf(object).every((item) => ours.has(nameOf(item)));
  // Into an empty list the API server has already copied the account's secrets.
  const copied = onlyOurs && entriesOf(object).length > 0 ? known.pullSecrets : [];
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

/** Null, empty and absent are the same for the API server. */
function tidy(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_key, inner) => {
    const empty = inner === null || (typeof inner === 'object' && !Array.isArray(inner) && Object.keys(inner).length === 0);
    return empty ? undefined : Array.isArray(inner) && inner.length === 0 ? undefined : inner;
  });
}
