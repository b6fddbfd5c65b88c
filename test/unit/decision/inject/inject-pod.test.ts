/** Pull secrets of pods and templates: patches, notices and marks. */
import { describe, expect, test } from 'vitest';
import { decide } from '../../../../src/decision/decide.ts';
import { ruleSetOf } from '../../rules/documents.ts';
import {
  accounts,
  change,
  containers,
  credentialsOf,
  decided,
  deployment,
  inject,
  type Kind,
  type PodObject,
  patched,
  pod,
  secrets,
  tooLargeAccounts,
  unwatched,
} from '../changes.ts';

const rules = ruleSetOf(`
internalRegistries: [internal.svc:5000]
rules:
- {registry: corp.io, pullSecret: corp}
- {registry: multi.io, pullSecret: [one, two]}
- {registry: public.io}
- {registry: bad.io, trust: false}
`);
const corp = 'corp.io/app:1';
const open = 'public.io/app:1';
const facts = accounts({ default: ['dockercfg'], robot: ['robot-pull'], bare: [] });

describe('a new Pod', () => {
  test.each<{ name: string; before: PodObject; list: unknown; mark?: unknown }>([
    {
      name: 'gets the secret of the rule and those of its account',
      before: pod(corp),
      list: ['corp', 'dockercfg'],
      mark: { rules: ['corp'], serviceAccount: ['dockercfg'] },
    },
    {
      name: 'keeps what the API server copied from the account',
      before: pod(corp, ['dockercfg']),
      list: ['dockercfg', 'corp'],
      mark: { rules: ['corp'] },
    },
    {
      name: 'keeps what the author listed, and its order',
      before: pod(corp, ['z', 'a']),
      list: ['z', 'a', 'corp'],
      mark: { rules: ['corp'] },
    },
    { name: 'is left alone if the author listed the secret', before: pod(corp, ['a', 'corp', 'b']), list: ['a', 'corp', 'b'] },
    { name: 'is left alone if no secret is needed', before: pod(open), list: undefined },
    { name: 'gets all secrets of a rule', before: pod('multi.io/x', ['two']), list: ['two', 'one'], mark: { rules: ['one'] } },
    {
      name: 'of a marked template gets the current secrets of its account',
      before: pod(corp, ['corp'], { rules: ['corp'] }),
      list: ['corp', 'dockercfg'],
      mark: { rules: ['corp'], serviceAccount: ['dockercfg'] },
    },
    {
      name: 'of a marked template keeps secrets that no rule contains any more',
      before: pod(open, ['corp'], { rules: ['corp'] }),
      list: ['corp', 'dockercfg'],
      mark: { rules: ['corp'], serviceAccount: ['dockercfg'] },
    },
    {
      name: 'with a forged mark only gets what its account has',
      before: pod(open, ['mine'], { rules: ['mine', 'other'] }),
      list: ['mine', 'dockercfg'],
      mark: { rules: ['mine', 'other'], serviceAccount: ['dockercfg'] },
    },
    { name: 'with an invalid mark is treated as unmarked', before: pod(corp, ['corp'], 'x'), list: ['corp'] },
    { name: 'gets nothing for an internal image', before: pod('internal.svc:5000/a/b'), list: undefined },
    { name: 'gets nothing for an untrusted image', before: pod('bad.io/x'), list: undefined },
    { name: 'keeps entries that are listed twice', before: pod(corp, ['a', 'a']), list: ['a', 'a', 'corp'], mark: { rules: ['corp'] } },
  ])('$name', ({ before, list, mark }) => {
    const after = inject(change('Pod', before), rules, facts);
    expect(credentialsOf(after)).toEqual({ list, mark });
  });

  test('gets one secret for many images, in the order of the images', () => {
    const spec = { containers: containers('multi.io/a', corp, corp, open), imagePullSecrets: secrets('mine') };
    expect(credentialsOf(inject(change('Pod', { spec }), rules, facts)).list).toEqual(['mine', 'one', 'two', 'corp']);
  });

  test('with another account gets the secrets of that account', () => {
    const spec = { containers: containers(corp), serviceAccountName: 'robot' };
    expect(credentialsOf(inject(change('Pod', { spec }), rules, facts)).list).toEqual(['corp', 'robot-pull']);
  });

  test('is retried if its account is not known yet', () => {
    const spec = { containers: containers(corp), serviceAccountName: 'new' };
    expect(decide(change('Pod', { spec }), rules, facts)).toEqual({
      kind: 'not-yet',
      message: 'service account "new" in namespace "shop" has not been seen yet',
    });
  });

  test('does not need its account to be known if it needs no secret', () => {
    const spec = { containers: containers(open), serviceAccountName: 'new' };
    expect(decided(change('Pod', { spec }), rules, facts).patch).toEqual([]);
  });

  test('reports what was injected, and from where', () => {
    expect(decided(change('Pod', pod(corp)), rules, facts).injected).toEqual([
      { path: 'spec.imagePullSecrets', secret: 'corp', from: 'rule' },
      { path: 'spec.imagePullSecrets', secret: 'dockercfg', from: 'serviceAccount' },
    ]);
  });
});

const spelling = ruleSetOf(`
rules:
- {registry: [corp.io, "ported.io:5000", docker.io, "[2001:db8::1]:5000", "single:443"], pullSecret: corp, pushSecret: corp}
- {registry: public.io}
`);

describe('an unusual spelling of a registry is reported, since credentials are looked up by string', () => {
  test.each<{ name: string; now: PodObject; old?: PodObject; warns: boolean }>([
    { name: 'with the default port', now: pod('corp.io:443/app'), warns: true },
    { name: 'with the default port and leading zeros', now: pod('corp.io:0443/app'), warns: true },
    { name: 'in upper case', now: pod('Corp.Io/app'), warns: true },
    { name: 'with leading zeros in the port', now: pod('ported.io:05000/app'), warns: true },
    { name: 'with the port that makes it a host', now: pod('single:443/app'), warns: true },
    { name: 'with the Docker Hub server name', now: pod('registry-1.docker.io/library/nginx'), warns: true },
    { name: 'as Docker Hub in upper case', now: pod('Docker.io/library/nginx'), warns: true },
    { name: 'an IPv6 address with zeros', now: pod('[2001:db8:0::1]:5000/app'), warns: true },
    { name: 'but not the spelling of the key', now: pod(corp), warns: false },
    { name: 'but not with its port', now: pod('ported.io:5000/app'), warns: false },
    { name: 'but not Docker Hub without a registry', now: pod('nginx'), warns: false },
    { name: 'but not Docker Hub by its old name', now: pod('index.docker.io/library/nginx'), warns: false },
    { name: 'but not if no secret is needed', now: pod('public.io:443/app'), warns: false },
    { name: 'but not if the author has listed the secret', now: pod('corp.io:443/app', ['corp']), warns: false },
    { name: 'but not of an existing image', now: pod('corp.io:443/app'), old: pod('corp.io:443/app', ['mine']), warns: false },
  ])('$name', ({ now, old, warns }) => {
    const { notices } = decided(change('Deployment', deployment(now), old && deployment(old)), spelling, facts);
    expect(notices.map(({ reason }) => reason)).toEqual(warns ? ['registry-spelling'] : []);
  });
});

describe('the patch can be applied', () => {
  const spec = { containers: containers(corp) };
  test.each<{ name: string; object: unknown }>([
    { name: 'without metadata', object: { spec } },
    { name: 'with null metadata', object: { metadata: null, spec } },
    { name: 'with empty metadata', object: { metadata: {}, spec } },
    { name: 'with null annotations', object: { metadata: { annotations: null }, spec } },
    { name: 'with empty annotations', object: { metadata: { annotations: {} }, spec } },
    { name: 'with annotations that are not an object', object: { metadata: { annotations: ['x'] }, spec } },
    { name: 'with other annotations', object: { metadata: { annotations: { 'a/b~c': 'x' } }, spec } },
    { name: 'with a null list', object: { spec: { ...spec, imagePullSecrets: null } } },
    { name: 'with an empty list', object: { spec: { ...spec, imagePullSecrets: [] } } },
    { name: 'with entries without a name', object: { spec: { ...spec, imagePullSecrets: [{}, null, { name: '' }, { name: null }] } } },
  ])('$name', ({ object }) => {
    expect(credentialsOf(inject(change('Pod', object), rules, facts) as PodObject).list).toContain('corp');
    const workload = inject(change('Deployment', deployment(object)), rules, facts) as ReturnType<typeof deployment>;
    expect(credentialsOf(workload.spec.template).list).toContain('corp');
  });

  test('an annotation next to ours stays', () => {
    const after = inject(change('Pod', { metadata: { annotations: { 'a/b~c': 'x' } }, spec }), rules, facts) as PodObject;
    expect(Object.keys(after.metadata?.annotations ?? {})).toEqual(['a/b~c', 'regkeeper.io/injected']);
  });

  test('an entry without a name is user-supplied, so the account adds nothing', () => {
    const object = { spec: { ...spec, imagePullSecrets: [{}] } };
    expect(inject(change('Pod', object), rules, facts).spec.imagePullSecrets).toEqual([{}, { name: 'corp' }]);
  });
});

describe('a new template', () => {
  test.each<{ kind: Kind; wrap: (template: PodObject) => unknown; unwrap: (object: unknown) => PodObject }>([
    { kind: 'PodTemplate', wrap: (template) => ({ template }), unwrap: (object) => (object as { template: PodObject }).template },
    ...(['ReplicationController', 'Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet', 'Job', 'DeploymentConfig'] as const).map(
      (kind) => ({
        kind,
        wrap: (template: PodObject) => ({ spec: { template } }),
        unwrap: (object: unknown) => (object as ReturnType<typeof deployment>).spec.template,
      }),
    ),
    {
      kind: 'CronJob',
      wrap: (template) => ({ spec: { jobTemplate: { spec: { template } } } }),
      unwrap: (object) => (object as { spec: { jobTemplate: ReturnType<typeof deployment> } }).spec.jobTemplate.spec.template,
    },
  ])('of a $kind gets both secrets', ({ kind, wrap, unwrap }) => {
    const after = unwrap(inject(change(kind, wrap(pod(corp))), rules, facts));
    expect(credentialsOf(after)).toEqual({ list: ['corp', 'dockercfg'], mark: { rules: ['corp'], serviceAccount: ['dockercfg'] } });
  });

  test.each<{ name: string; before: PodObject; list: unknown; mark?: unknown }>([
    { name: 'is left alone if no secret is needed', before: pod(open), list: undefined },
    { name: 'keeps what the author listed', before: pod(corp, ['mine']), list: ['mine', 'corp'], mark: { rules: ['corp'] } },
    { name: 'does not mark user-supplied secrets', before: pod(corp, ['corp']), list: ['corp'] },
    {
      name: 'from a copied manifest loses what it does not need',
      before: pod(open, ['corp', 'foreign'], { rules: ['corp'], serviceAccount: ['foreign'] }),
      list: undefined,
    },
    {
      name: 'from a copied manifest gets the secrets of its own account',
      before: pod(corp, ['corp', 'foreign'], { rules: ['corp'], serviceAccount: ['foreign'] }),
      list: ['corp', 'dockercfg'],
      mark: { rules: ['corp'], serviceAccount: ['dockercfg'] },
    },
  ])('$name', ({ before, list, mark }) => {
    const after = inject(change('Deployment', deployment(before)), rules, facts);
    expect(credentialsOf(after.spec.template)).toEqual({ list, mark });
  });

  test('with an account that does not exist gets the secret of the rule', () => {
    const template = { spec: { containers: containers(corp), serviceAccountName: 'later' } };
    expect(credentialsOf(inject(change('Deployment', deployment(template)), rules, facts).spec.template).list).toEqual(['corp']);
  });

  test('a Pod of the template has the current secrets of its account', () => {
    const template = inject(change('Deployment', deployment(pod(corp))), rules, accounts({ default: [] })).spec.template;
    expect(credentialsOf(inject(change('Pod', template), rules, facts)).list).toEqual(['corp', 'dockercfg']);
  });

  test.each(['ReplicaSet', 'ReplicationController', 'Job'] as const)('of a %s with a controller is left alone', (kind) => {
    const object = { ...deployment(pod(corp)), metadata: { ownerReferences: [{ controller: true }] } };
    expect(decided(change(kind, object), rules, facts)).toMatchObject({ patch: [], notices: [], outcome: 'allowed' });
  });

  test('gets no secret for the image of a custom deployment strategy, which another Pod pulls', () => {
    const object = { spec: { template: pod(open), strategy: { customParams: { image: corp } } } };
    expect(decided(change('DeploymentConfig', object), rules, facts)).toMatchObject({ patch: [], images: [{}, { verdict: 'trusted' }] });
  });
});

describe('an update of a template', () => {
  const both = { rules: ['corp'], serviceAccount: ['dockercfg'] };
  const injected = pod(corp, ['corp', 'dockercfg'], both);
  const withMine = pod(corp, ['mine', 'corp'], { rules: ['corp'] });
  const newImage = (template: PodObject) => ({ ...template, spec: { ...template.spec, containers: containers('corp.io/app:2') } });

  test.each<{ name: string; old: PodObject; now: PodObject; after: PodObject }>([
    { name: 'that changes nothing stays unchanged, even if a secret is missing', old: pod(corp), now: pod(corp), after: pod(corp) },
    {
      name: 'that changes nothing keeps secrets that no rule contains any more',
      old: pod(open, ['x'], { rules: ['x'] }),
      now: pod(open, ['x'], { rules: ['x'] }),
      after: pod(open, ['x'], { rules: ['x'] }),
    },
    { name: 'that lost what we wrote gets it back', old: injected, now: pod(corp), after: injected },
    { name: 'that lost only our annotation and an entry gets both back', old: withMine, now: pod(corp, ['mine']), after: withMine },
    { name: 'that lost only entries gets them back in their order', old: injected, now: pod(corp, ['dockercfg'], both), after: injected },
    {
      name: 'that has an empty list gets the old one back',
      old: injected,
      now: { ...pod(corp), spec: { ...pod(corp).spec, imagePullSecrets: [] } },
      after: injected,
    },
    {
      name: 'that lost a secret which no rule contains any more gets it back, since the template did not change',
      old: pod(open, ['old'], { rules: ['old'] }),
      now: pod(open),
      after: pod(open, ['old'], { rules: ['old'] }),
    },
    { name: 'with a new image keeps the secrets', old: injected, now: newImage(injected), after: newImage(injected) },
    {
      name: 'with a new image and without our entries gets them again',
      old: injected,
      now: newImage(pod(corp)),
      after: newImage(injected),
    },
    { name: 'with an image that needs none loses ours', old: injected, now: pod(open, ['corp', 'dockercfg'], both), after: pod(open) },
    {
      name: "with an image that needs none keeps the author's",
      old: withMine,
      now: pod(open, ['mine', 'corp'], { rules: ['corp'] }),
      after: pod(open, ['mine']),
    },
    {
      name: 'with an image from a different registry replaces ours',
      old: withMine,
      now: pod('multi.io/x', ['mine', 'corp'], { rules: ['corp'] }),
      after: pod('multi.io/x', ['mine', 'one', 'two'], { rules: ['one', 'two'] }),
    },
    {
      name: "that has a user-supplied list loses the account's",
      old: injected,
      now: pod(corp, ['mine', 'corp', 'dockercfg'], both),
      after: pod(corp, ['mine', 'corp'], { rules: ['corp'] }),
    },
    {
      name: 'that lost only our annotation gets it back, as from a client that drops unknown annotations',
      old: injected,
      now: pod(corp, ['corp', 'dockercfg']),
      after: injected,
    },
    {
      name: 'that lost only our annotation gets it back next to user-supplied secrets',
      old: withMine,
      now: pod(corp, ['mine', 'corp']),
      after: withMine,
    },
    {
      name: 'that lost our annotation and changes something else is user-supplied',
      old: injected,
      now: { ...pod(corp, ['corp', 'dockercfg']), metadata: { name: 'web', labels: { a: 'b' } } },
      after: { ...pod(corp, ['corp', 'dockercfg']), metadata: { name: 'web', labels: { a: 'b' } } },
    },
    {
      name: 'that lost our annotation and lists another secret is user-supplied',
      old: injected,
      now: pod(corp, ['corp', 'dockercfg', 'mine']),
      after: pod(corp, ['corp', 'dockercfg', 'mine']),
    },
    {
      name: 'that has our annotation with an empty value gets it back',
      old: injected,
      now: pod(corp, ['corp', 'dockercfg'], {}),
      after: injected,
    },
    {
      name: 'that forges our annotation gets the correct one back',
      old: injected,
      now: pod(corp, ['corp', 'dockercfg'], { rules: ['dockercfg', 'other'] }),
      after: injected,
    },
    {
      name: 'that adds our annotation for a user-supplied secret loses it',
      old: pod(corp, ['corp']),
      now: pod(corp, ['corp'], { rules: ['other'] }),
      after: pod(corp, ['corp']),
    },
    {
      name: 'that adds a marked secret which it did not have is a change, not a loss',
      old: pod(corp),
      now: pod(corp, ['corp'], { rules: ['corp'] }),
      after: pod(corp, ['corp', 'dockercfg'], both),
    },
  ])('$name', ({ old, now, after }) => {
    const result = inject(change('Deployment', deployment(now), deployment(old)), rules, facts);
    expect(withoutEmpty(result.spec.template)).toEqual(withoutEmpty(after));
  });

  test('that removes a secret which the author once applied, and which a rule needs, keeps the secrets of the account in every pass', () => {
    const applied = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(deployment(pod(corp, ['corp']))) };
    const edited = { ...deployment(pod(corp)), metadata: { name: 'web', annotations: applied } };
    // `inject` expects that a second pass changes nothing.
    const after = inject(change('Deployment', edited, deployment(pod(open))), rules, facts);
    expect(credentialsOf(after.spec.template)).toEqual({ list: ['corp', 'dockercfg'], mark: { serviceAccount: ['dockercfg'] } });
  });

  test("that changes the account replaces the account's secrets", () => {
    const now = { ...injected, spec: { ...injected.spec, serviceAccountName: 'robot' } };
    const after = inject(change('Deployment', deployment(now), deployment(injected)), rules, facts);
    expect(credentialsOf(after.spec.template)).toEqual({
      list: ['corp', 'robot-pull'],
      mark: { rules: ['corp'], serviceAccount: ['robot-pull'] },
    });
  });

  test('of anything but the template leaves the template alone', () => {
    const now = { ...deployment(pod(corp)), metadata: { name: 'web', labels: { a: 'b' } } };
    expect(decided(change('Deployment', now, deployment(pod(corp))), rules, facts).patch).toEqual([]);
  });

  describe('keeps a secret that the author now lists, although it was ours', () => {
    const ours = { annotations: { 'regkeeper.io/injected': '{"rules":["corp"]}' } };
    const template = (of: string) => ({ metadata: ours, spec: { containers: containers(of), imagePullSecrets: secrets('corp') } });
    const applied = (file: object) => ({
      annotations: { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify({ spec: { template: file } }) },
    });
    const managed = (operation: string, fields: object) => ({
      managedFields: [{ manager: 'gitops', operation, fieldsV1: { 'f:spec': { 'f:template': fields } } }],
    });
    const list = { 'f:spec': { 'f:imagePullSecrets': { 'k:{"name":"corp"}': {}, 'k:no': {}, '.': {} } } };
    const marked = { 'f:metadata': { 'f:annotations': { 'f:regkeeper.io/injected': {} } } };

    test.each<{ name: string; metadata: object; kept: boolean }>([
      { name: 'in the file of kubectl apply', metadata: applied({ spec: { imagePullSecrets: secrets('corp') } }), kept: true },
      { name: 'in the fields of server-side apply', metadata: managed('Apply', list), kept: true },
      { name: 'not if the file does not contain it', metadata: applied({ spec: {} }), kept: false },
      {
        name: 'not if the file is not JSON',
        metadata: { annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{' } },
        kept: false,
      },
      {
        name: 'not if the file is a copy of a live object, with its mark',
        metadata: applied({ metadata: ours, spec: { imagePullSecrets: secrets('corp') } }),
        kept: false,
      },
      { name: 'not if a live object was applied, with its mark', metadata: managed('Apply', { ...list, ...marked }), kept: false },
      // A client that updates without applying also owns the fields that webhooks add.
      { name: 'not in the fields of an update', metadata: managed('Update', list), kept: false },
    ])('$name', ({ metadata, kept }) => {
      const now = { metadata, spec: { template: template('multi.io/x') } };
      const { spec } = inject(change('Deployment', now, { spec: { template: template(corp) } }), rules, accounts({ default: [] }));
      expect(credentialsOf(spec.template)).toEqual({
        list: kept ? ['corp', 'one', 'two'] : ['one', 'two'],
        mark: { rules: ['one', 'two'] },
      });
    });
  });

  describe("of a Job restores what the author's own file lacks, because the API server would reject the change", () => {
    const author = (more: object = {}) => deployment({ ...pod(corp), spec: { ...pod(corp).spec, ...more } });
    const stored = inject(change('Job', author()), rules, facts);

    test('if nothing else changes', () => {
      expect(stored).not.toEqual(author());
      expect(inject(change('Job', author(), stored), rules, facts)).toEqual(stored);
    });

    test('together with fields that may change while it is suspended', () => {
      const { template } = inject(change('Job', author({ nodeSelector: { disk: 'fast' } }), stored), rules, facts).spec;
      expect(template.spec.nodeSelector).toEqual({ disk: 'fast' });
      expect(credentialsOf(template)).toEqual(credentialsOf(stored.spec.template));
    });

    test('but not if the author changes the list, which the API server rejects anyway', () => {
      const now = author({ imagePullSecrets: secrets('mine') });
      expect(inject(change('Job', now, stored), rules, facts)).toEqual(now);
    });

    test('and only our annotation, also with fields that may change while it is suspended', () => {
      const { metadata: _mark, ...template } = stored.spec.template;
      const sent = (more: object) => ({
        ...stored,
        spec: { ...stored.spec, template: { ...template, spec: { ...template.spec, ...more } } },
      });
      for (const more of [{}, { nodeSelector: { disk: 'fast' } }]) {
        const after = inject(change('Job', sent(more), stored), rules, facts);
        expect(credentialsOf(after.spec.template)).toEqual(credentialsOf(stored.spec.template));
      }
    });
  });

  describe("of a Pod restores what the author's own file lacks, because the API server would reject the change", () => {
    const author = pod(corp);
    const stored = inject(change('Pod', author), rules, accounts({ default: [] }));

    test('if nothing else changes', () => {
      expect(stored).not.toEqual(author);
      expect(inject(change('Pod', author, stored), rules, facts)).toEqual(stored);
    });

    test('together with the image, which may change', () => {
      const now = pod('corp.io/app:2');
      const decision = decided(change('Pod', now, stored), rules, facts);
      expect(credentialsOf(patched(now, decision))).toEqual(credentialsOf(stored));
      expect([decision.injected, decision.notices]).toEqual([[{ path: 'spec.imagePullSecrets', secret: 'corp', from: 'rule' }], []]);
    });

    test('next to user-supplied secrets', () => {
      const file = pod(corp, ['mine']);
      const made = inject(change('Pod', file), rules, facts);
      expect(credentialsOf(made).list).toEqual(['mine', 'corp']);
      expect(inject(change('Pod', file, made), rules, facts)).toEqual(made);
    });

    test('with a warning that another image lacks its secret', () => {
      const decision = decided(change('Pod', pod('multi.io/x'), stored), rules, facts);
      expect(decision.notices.map(({ reason }) => reason)).toEqual(['pod-immutable']);
      expect(credentialsOf(patched(pod('multi.io/x'), decision)).list).toEqual(['corp']);
    });

    test.each([
      ['if the file changes the list, which the API server rejects anyway', pod(corp, ['mine']), stored],
      ['if secrets of the account are missing too, which we did not write', author, pod(corp, ['dockercfg', 'corp'], { rules: ['corp'] })],
      ['if nothing in the Pod is marked', author, pod(corp, ['corp'])],
    ])('but not %s', (_where, now, old) => {
      expect(decided(change('Pod', now, old), rules, facts).patch).toEqual([]);
    });

    test('but not for the mirror Pod of a node', () => {
      const mirrored = (object: PodObject) => ({
        ...object,
        metadata: { ...object.metadata, annotations: { ...object.metadata?.annotations, 'kubernetes.io/config.mirror': 'x' } },
      });
      expect(decided(change('Pod', mirrored(author), mirrored(stored), 'system:node:n'), rules, facts).patch).toEqual([]);
    });
  });

  test('of a Job leaves it alone, since its template is immutable', () => {
    expect(decided(change('Job', deployment(pod(corp)), deployment(pod(open))), rules, facts).patch).toEqual([]);
  });

  describe('whose list has entries with more than a name, as in custom resources', () => {
    const mark = { annotations: { 'regkeeper.io/injected': '{"rules":["corp"]}' } };
    const listing = (list: readonly unknown[], metadata = {}) => ({
      metadata,
      spec: { containers: containers(corp), imagePullSecrets: list },
    });

    test('restores an entry of ours with all its fields', () => {
      const old = deployment(listing([{ name: 'mine' }, { name: 'corp', optional: false }], mark));
      const now = deployment(listing([{ name: 'mine' }]));
      expect(inject(change('Deployment', now, old), rules, facts)).toEqual(old);
    });

    test('keeps what the update changes in a user-supplied entry', () => {
      const old = deployment(listing([{ name: 'mine' }, { name: 'corp' }], mark));
      const now = deployment(listing([{ name: 'mine', optional: false }]));
      const { template } = inject(change('Deployment', now, old), rules, facts).spec;
      expect(template.spec.imagePullSecrets).toEqual([{ name: 'mine', optional: false }, { name: 'corp' }]);
    });

    test('keeps what the update changes in an entry without a name', () => {
      const old = deployment(listing([{}, { name: 'corp' }], mark));
      const now = deployment(listing([{ optional: false }]));
      const { template } = inject(change('Deployment', now, old), rules, facts).spec;
      expect(template.spec.imagePullSecrets).toEqual([{ optional: false }, { name: 'corp' }]);
    });
  });

  describe("if the user's applied file lists a secret", () => {
    const applied = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(deployment(pod(corp, ['corp']))) };
    const edited = (template: PodObject) => ({ ...deployment(template), metadata: { name: 'web', annotations: applied } });

    test('restores ours that was lost, and exactly the previous mark', () => {
      const after = inject(change('Deployment', edited(pod(corp, ['corp'], both)), deployment(injected)), rules, facts);
      expect(after.spec.template).toEqual(injected);
    });

    test("restores the user's secret too if an edit removes it and a rule needs it, with exactly the previous mark", () => {
      const old = { ...pod(corp, ['corp']), metadata: { name: 'web', annotations: { 'regkeeper.io/injected': '{ }' } } };
      const after = inject(change('Deployment', edited(pod(corp)), deployment(old)), rules, accounts({ default: [] }));
      expect(after.spec.template).toEqual(old);
    });
  });

  test('of a ReplicaSet with a controller leaves it alone, even if it lost what we wrote', () => {
    const owned = (template: PodObject) => ({
      ...deployment(template),
      metadata: { name: 'web', ownerReferences: [{ controller: true }] },
    });
    expect(decided(change('ReplicaSet', owned(pod(corp)), owned(injected)), rules, facts).patch).toEqual([]);
  });

  test('reports what was restored', () => {
    expect(decided(change('Deployment', deployment(pod(corp)), deployment(injected)), rules, facts).injected).toEqual([
      { path: 'spec.template.spec.imagePullSecrets', secret: 'corp', from: 'rule' },
      { path: 'spec.template.spec.imagePullSecrets', secret: 'dockercfg', from: 'serviceAccount' },
    ]);
  });

  test('whose old object cannot be parsed is treated as new', () => {
    const after = inject(change('Deployment', deployment(pod(corp)), { spec: 1 }), rules, facts);
    expect(credentialsOf(after.spec.template).list).toEqual(['corp', 'dockercfg']);
  });
});

describe('an existing Pod', () => {
  test.each([
    {
      name: 'gets nothing, and there is a warning about the missing secret',
      now: pod(corp, ['mine']),
      warned:
        'the Pod lacks the pull secret "corp", and the pull secrets of an existing Pod cannot be changed. Recreate the Pod, or for a debug container, use kubectl debug --copy-to.',
    },
    {
      name: 'that lacks several gets a warning with all of them',
      now: pod('multi.io/x', ['mine']),
      warned:
        'the Pod lacks the pull secrets "one" and "two", and the pull secrets of an existing Pod cannot be changed. Recreate the Pod, or for a debug container, use kubectl debug --copy-to.',
    },
    { name: 'that has the secret gets no warning', now: pod(corp, ['corp']), warned: undefined },
  ])('$name', ({ now, warned }) => {
    const decision = decided(change('Pod', now, pod(open)), rules, facts);
    expect(decision.patch).toEqual([]);
    expect(decision.notices.map(({ message }) => message)).toEqual(warned ? [warned] : []);
  });

  const debugged = (by: string, ...images: string[]) => ({
    ...pod(by),
    spec: { ...pod(by).spec, ephemeralContainers: containers(...images) },
  });

  test('accepts an ephemeral container without its secret', () => {
    const decision = decided(change('Pod', debugged(open, corp), pod(open)), rules, facts);
    expect(decision).toMatchObject({ patch: [], notices: [{ reason: 'pod-immutable' }] });
  });

  test.each([
    { what: 'the images that it was created with', now: debugged(corp, open), old: pod(corp) },
    { what: 'an existing ephemeral container', now: debugged(open, corp, open), old: debugged(open, corp) },
  ])('gets no warning for $what', ({ now, old }) => {
    expect(decided(change('Pod', now, old), rules, facts).notices).toEqual([]);
  });
});

test('a mirror Pod is not changed, and only gets a warning', () => {
  const mirror = { ...pod('bad.io/x'), metadata: { annotations: { 'kubernetes.io/config.mirror': 'h' } } };
  const decision = decided(change('Pod', mirror, undefined, 'system:node:n1'), rules, facts);
  expect(decision).toMatchObject({ patch: [], notices: [], outcome: 'warned', images: [{ verdict: 'untrusted', reason: 'mirror-pod' }] });
  expect(decided(change('Pod', mirror, undefined, 'alice'), rules, facts).outcome).toBe('denied');
});

describe('an account that allows only listed secrets', () => {
  const strict = (...names: string[]) => accounts({ default: names }, true);
  const warning =
    'service account "default" allows only the pull secrets that it lists (kubernetes.io/enforce-mountable-secrets), so "corp" was not added. Add it to the imagePullSecrets of the service account.';

  test.each([
    { name: 'and does not list the secret gets none', kind: 'Pod' as const, list: undefined, listed: [], warnings: [warning] },
    { name: 'and lists others gets none', kind: 'Deployment' as const, list: undefined, listed: ['other'], warnings: [warning] },
    { name: 'and lists the secret gets it', kind: 'Pod' as const, list: ['corp', 'x'], listed: ['x', 'corp'], warnings: [] },
    { name: 'and lists the secret gets it in templates', kind: 'Deployment' as const, list: ['corp'], listed: ['corp'], warnings: [] },
  ])('$name', ({ kind, list, listed, warnings }) => {
    const object = kind === 'Pod' ? pod(corp) : deployment(pod(corp));
    const request = change(kind, object);
    expect(decided(request, rules, strict(...listed)).notices.map(({ message }) => message)).toEqual(warnings);
    const { spec } = inject(request, rules, strict(...listed));
    const podObject = 'template' in spec ? (spec.template as PodObject) : ({ spec } as PodObject);
    expect(credentialsOf(podObject).list).toEqual(list);
  });

  test('is reported with several secrets together', () => {
    expect(decided(change('Pod', pod('multi.io/x')), rules, strict()).notices.map(({ message }) => message)).toEqual([
      'service account "default" allows only the pull secrets that it lists (kubernetes.io/enforce-mountable-secrets), so "one" and "two" were not added. Add them to the imagePullSecrets of the service account.',
    ]);
  });

  test('causes no warning if the author listed the secret', () => {
    expect(decided(change('Pod', pod(corp, ['corp'])), rules, strict()).notices).toEqual([]);
  });

  test('loses what an earlier pass wrote into a template, with a message', () => {
    const old = deployment(pod(corp, ['corp'], { rules: ['corp'] }));
    const now = deployment(pod('corp.io/new', ['corp'], { rules: ['corp'] }));
    const decision = decided(change('Deployment', now, old), rules, strict());
    expect(credentialsOf(patched(now, decision).spec.template)).toEqual({ list: undefined, mark: undefined });
    expect(decision.notices).toEqual([{ reason: 'secrets-enforced', message: warning }]);
  });
});

describe('an account whose list is too large to keep', () => {
  const facts = tooLargeAccounts();
  const marked = { rules: ['corp'], serviceAccount: ['dockercfg'] };
  const listed = ['corp', 'dockercfg'];
  const of = (account: string, template: PodObject): PodObject => ({
    ...template,
    spec: { ...template.spec, serviceAccountName: account },
  });
  const underOldName = (account: string, template: PodObject): PodObject => ({
    ...template,
    spec: { ...template.spec, serviceAccount: account },
  });

  test.each<{ what: string; kind: Kind; object: PodObject; old?: PodObject; list: unknown; mark?: unknown; notices: string[] }>([
    {
      what: 'leaves a new template alone, so that the API server copies the list into its Pods',
      kind: 'Deployment',
      object: pod(corp),
      list: undefined,
      notices: ['account-too-large'],
    },
    { what: 'causes no message if no secret is needed', kind: 'Deployment', object: pod(open), list: undefined, notices: [] },
    {
      what: 'does not matter if the author lists secrets, because then the API server copies nothing',
      kind: 'Deployment',
      object: pod(corp, ['mine']),
      list: ['mine', 'corp'],
      mark: { rules: ['corp'] },
      notices: [],
    },
    {
      what: 'keeps what an earlier pass wrote into a template',
      kind: 'Deployment',
      object: pod('corp.io/new', listed, marked),
      old: pod(corp, listed, marked),
      list: listed,
      mark: marked,
      notices: ['account-too-large'],
    },
    {
      what: 'keeps it also under the legacy field name for the account',
      kind: 'Deployment',
      object: underOldName('robot', pod('corp.io/new', listed, marked)),
      old: underOldName('robot', pod(corp, listed, marked)),
      list: listed,
      mark: marked,
      notices: ['account-too-large'],
    },
    {
      what: 'removes ours if the template had another account, whose secrets would prevent the API server from copying the list',
      kind: 'Deployment',
      object: of('robot', pod(corp, listed, marked)),
      old: pod(corp, listed, marked),
      list: undefined,
      notices: ['account-too-large'],
    },
    {
      what: 'gives a Pod the secret in addition to what the API server copied',
      kind: 'Pod',
      object: pod(corp, ['a', 'b']),
      list: ['a', 'b', 'corp'],
      mark: { rules: ['corp'] },
      notices: [],
    },
    { what: 'gives it to a Pod without a list', kind: 'Pod', object: pod(corp), list: ['corp'], mark: { rules: ['corp'] }, notices: [] },
    {
      what: 'keeps the names of the mark in the Pod of a marked template',
      kind: 'Pod',
      object: pod('multi.io/x', listed, marked),
      list: [...listed, 'one', 'two'],
      mark: { rules: ['corp', 'one', 'two'], serviceAccount: ['dockercfg'] },
      notices: ['account-too-large'],
    },
  ])('$what', ({ kind, object, old, list, mark, notices }) => {
    const whole = (each: PodObject) => (kind === 'Pod' ? each : deployment(each));
    const request = change(kind, whole(object), old && whole(old));
    expect(decided(request, rules, facts).notices.map(({ reason }) => reason)).toEqual(notices);
    const { spec } = inject(request, rules, facts);
    expect(
      credentialsOf('template' in spec ? (spec.template as PodObject) : ({ ...object, ...inject(request, rules, facts) } as PodObject)),
    ).toEqual({ list, mark });
  });

  test('and that allows only listed secrets gets nothing, since its contents are unknown', () => {
    const strict = tooLargeAccounts({ onlyListedSecrets: true });
    for (const [image, consequence] of [
      [corp, '"corp" was not added, because the account might not list it.'],
      ['multi.io/x', '"one" and "two" were not added, because the account might not list them.'],
    ] as const) {
      const decision = decided(change('Pod', pod(image, ['a'])), rules, strict);
      expect(decision.patch).toEqual([]);
      expect(decision.notices.map(({ message }) => message)).toEqual([
        `service account "default" allows only the pull secrets that it lists (kubernetes.io/enforce-mountable-secrets), and the account lists more than 1,000 pull secrets. ${consequence}`,
      ]);
    }
    const template = deployment(pod('corp.io/new', ['corp'], { rules: ['corp'] }));
    const old = deployment(pod(corp, ['corp'], { rules: ['corp'] }));
    expect(credentialsOf(patched(template, decided(change('Deployment', template, old), rules, strict)).spec.template)).toEqual({});
  });
});

describe('without a cluster', () => {
  test.each<{ what: string; kind: Kind; object: unknown; injected: string[]; notices: string[] }>([
    // Its empty list means that the account has no secrets, since the API server would have copied them.
    { what: 'a Pod', kind: 'Pod', object: pod(corp), injected: ['corp'], notices: [] },
    {
      what: 'a Pod of a marked template',
      kind: 'Pod',
      object: pod(corp, ['corp'], { rules: ['corp'] }),
      injected: [],
      notices: ['account-unknown'],
    },
    { what: 'a Deployment', kind: 'Deployment', object: deployment(pod(corp)), injected: ['corp'], notices: ['account-unknown'] },
  ])('$what gets the secret of the rule, and a warning if more may be missing', ({ kind, object, injected, notices }) => {
    const decision = decided(change(kind, object), rules, unwatched);
    expect(decision.injected.map(({ secret }) => secret)).toEqual(injected);
    expect(decision.notices.map(({ reason }) => reason)).toEqual(notices);
  });

  test('the results of an earlier pass stay', () => {
    const template = pod(corp, ['corp', 'dockercfg'], { rules: ['corp'], serviceAccount: ['dockercfg'] });
    expect(decided(change('Deployment', deployment(template)), rules, unwatched).patch).toEqual([]);
  });

  test('a user-supplied list needs no account, so there is no warning', () => {
    expect(decided(change('Deployment', deployment(pod(corp, ['mine']))), rules, unwatched).notices).toEqual([]);
  });
});

/** The API server omits empty maps and lists. */
function withoutEmpty(template: PodObject): unknown {
  return JSON.parse(JSON.stringify(template), (_key, value) =>
    typeof value === 'object' && value !== null && Object.keys(value).length === 0 ? undefined : value,
  );
}

test('an update that only adds a stale secret of ours keeps the template as it was, with exactly the previous mark', () => {
  const old = deployment({ ...pod(open), metadata: { annotations: { 'regkeeper.io/injected': '{ }' } } });
  const now = deployment({ ...pod(open, ['corp']), metadata: { annotations: { 'regkeeper.io/injected': '{"rules":["corp"]}' } } });
  expect(inject(change('Deployment', now, old), rules, facts)).toEqual(old);
});
