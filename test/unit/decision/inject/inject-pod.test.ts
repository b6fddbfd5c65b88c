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

describe('a new pod', () => {
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
    { name: 'is left alone when the author listed the secret', before: pod(corp, ['a', 'corp', 'b']), list: ['a', 'corp', 'b'] },
    { name: 'is left alone when no secret is needed', before: pod(open), list: undefined },
    { name: 'gets all secrets of a rule', before: pod('multi.io/x', ['two']), list: ['two', 'one'], mark: { rules: ['one'] } },
    {
      name: 'of a marked template gets the secrets of its account again',
      before: pod(corp, ['corp'], { rules: ['corp'] }),
      list: ['corp', 'dockercfg'],
      mark: { rules: ['corp'], serviceAccount: ['dockercfg'] },
    },
    {
      name: 'of a marked template keeps secrets that no rule wants any more',
      before: pod(open, ['corp'], { rules: ['corp'] }),
      list: ['corp', 'dockercfg'],
      mark: { rules: ['corp'], serviceAccount: ['dockercfg'] },
    },
    {
      name: 'whose mark is forged only gets what its account has',
      before: pod(open, ['mine'], { rules: ['mine', 'other'] }),
      list: ['mine', 'dockercfg'],
      mark: { rules: ['mine', 'other'], serviceAccount: ['dockercfg'] },
    },
    { name: 'whose mark cannot be read is taken for unmarked', before: pod(corp, ['corp'], 'x'), list: ['corp'] },
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

  test('of another account gets the secrets of that account', () => {
    const spec = { containers: containers(corp), serviceAccountName: 'robot' };
    expect(credentialsOf(inject(change('Pod', { spec }), rules, facts)).list).toEqual(['corp', 'robot-pull']);
  });

  test('asks to come again when its account is not known yet', () => {
    const spec = { containers: containers(corp), serviceAccountName: 'new' };
    expect(decide(change('Pod', { spec }), rules, facts)).toEqual({
      kind: 'not-yet',
      message: 'service account "new" in namespace "shop" has not been seen yet',
    });
  });

  test('does not need to know its account when it needs no secret', () => {
    const spec = { containers: containers(open), serviceAccountName: 'new' };
    expect(decided(change('Pod', { spec }), rules, facts).patch).toEqual([]);
  });

  test('tells what was injected, and from where', () => {
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

describe('a registry that is spelled unusually is reported, since a credential is looked up by the text', () => {
  test.each<{ name: string; now: PodObject; old?: PodObject; warns: boolean }>([
    { name: 'with the default port', now: pod('corp.io:443/app'), warns: true },
    { name: 'with the default port and zeros before it', now: pod('corp.io:0443/app'), warns: true },
    { name: 'in upper case', now: pod('Corp.Io/app'), warns: true },
    { name: 'with zeros before the port', now: pod('ported.io:05000/app'), warns: true },
    { name: 'with the port that makes it a host', now: pod('single:443/app'), warns: true },
    { name: 'by the server of Docker Hub', now: pod('registry-1.docker.io/library/nginx'), warns: true },
    { name: 'as Docker Hub in upper case', now: pod('Docker.io/library/nginx'), warns: true },
    { name: 'an IPv6 address with zeros', now: pod('[2001:db8:0::1]:5000/app'), warns: true },
    { name: 'but not as a key has it', now: pod(corp), warns: false },
    { name: 'but not with its port', now: pod('ported.io:5000/app'), warns: false },
    { name: 'but not Docker Hub without a registry', now: pod('nginx'), warns: false },
    { name: 'but not Docker Hub by its old name', now: pod('index.docker.io/library/nginx'), warns: false },
    { name: 'but not where no secret is needed', now: pod('public.io:443/app'), warns: false },
    { name: 'but not where the author has listed the secret', now: pod('corp.io:443/app', ['corp']), warns: false },
    { name: 'but not of an image from before', now: pod('corp.io:443/app'), old: pod('corp.io:443/app', ['mine']), warns: false },
  ])('$name', ({ now, old, warns }) => {
    const { notices } = decided(change('Deployment', deployment(now), old && deployment(old)), spelling, facts);
    expect(notices.map(({ reason }) => reason)).toEqual(warns ? ['registry-spelling'] : []);
  });
});

describe('the patch applies', () => {
  const spec = { containers: containers(corp) };
  test.each<{ name: string; object: unknown }>([
    { name: 'without metadata', object: { spec } },
    { name: 'with metadata of null', object: { metadata: null, spec } },
    { name: 'with empty metadata', object: { metadata: {}, spec } },
    { name: 'with annotations of null', object: { metadata: { annotations: null }, spec } },
    { name: 'with empty annotations', object: { metadata: { annotations: {} }, spec } },
    { name: 'with annotations that are no object', object: { metadata: { annotations: ['x'] }, spec } },
    { name: 'with other annotations', object: { metadata: { annotations: { 'a/b~c': 'x' } }, spec } },
    { name: 'with a list of null', object: { spec: { ...spec, imagePullSecrets: null } } },
    { name: 'with an empty list', object: { spec: { ...spec, imagePullSecrets: [] } } },
    { name: 'with entries without name', object: { spec: { ...spec, imagePullSecrets: [{}, null, { name: '' }, { name: null }] } } },
  ])('$name', ({ object }) => {
    expect(credentialsOf(inject(change('Pod', object), rules, facts) as PodObject).list).toContain('corp');
    const workload = inject(change('Deployment', deployment(object)), rules, facts) as ReturnType<typeof deployment>;
    expect(credentialsOf(workload.spec.template).list).toContain('corp');
  });

  test('an annotation beside ours stays', () => {
    const after = inject(change('Pod', { metadata: { annotations: { 'a/b~c': 'x' } }, spec }), rules, facts) as PodObject;
    expect(Object.keys(after.metadata?.annotations ?? {})).toEqual(['a/b~c', 'regkeeper.io/injected']);
  });

  test("an entry without name is the author's, so that the account adds nothing", () => {
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
    { name: 'is left alone when no secret is needed', before: pod(open), list: undefined },
    { name: 'keeps what the author listed', before: pod(corp, ['mine']), list: ['mine', 'corp'], mark: { rules: ['corp'] } },
    { name: 'does not mark what the author listed', before: pod(corp, ['corp']), list: ['corp'] },
    {
      name: 'of a copied manifest loses what it does not need',
      before: pod(open, ['corp', 'foreign'], { rules: ['corp'], serviceAccount: ['foreign'] }),
      list: undefined,
    },
    {
      name: 'of a copied manifest gets the secrets of its own account',
      before: pod(corp, ['corp', 'foreign'], { rules: ['corp'], serviceAccount: ['foreign'] }),
      list: ['corp', 'dockercfg'],
      mark: { rules: ['corp'], serviceAccount: ['dockercfg'] },
    },
  ])('$name', ({ before, list, mark }) => {
    const after = inject(change('Deployment', deployment(before)), rules, facts);
    expect(credentialsOf(after.spec.template)).toEqual({ list, mark });
  });

  test('whose account does not exist gets the secret of the rule', () => {
    const template = { spec: { containers: containers(corp), serviceAccountName: 'later' } };
    expect(credentialsOf(inject(change('Deployment', deployment(template)), rules, facts).spec.template).list).toEqual(['corp']);
  });

  test('a pod of the template ends with the secrets its account has by then', () => {
    const template = inject(change('Deployment', deployment(pod(corp))), rules, accounts({ default: [] })).spec.template;
    expect(credentialsOf(inject(change('Pod', template), rules, facts)).list).toEqual(['corp', 'dockercfg']);
  });

  test.each(['ReplicaSet', 'ReplicationController', 'Job'] as const)('of a %s with a controller is left alone', (kind) => {
    const object = { ...deployment(pod(corp)), metadata: { ownerReferences: [{ controller: true }] } };
    expect(decided(change(kind, object), rules, facts)).toMatchObject({ patch: [], notices: [], outcome: 'allowed' });
  });

  test('gets no secret for the image of a custom deployment strategy, which another pod pulls', () => {
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
    { name: 'that changes nothing changes nothing, even where a secret is missing', old: pod(corp), now: pod(corp), after: pod(corp) },
    {
      name: 'that changes nothing keeps what no rule wants any more',
      old: pod(open, ['x'], { rules: ['x'] }),
      now: pod(open, ['x'], { rules: ['x'] }),
      after: pod(open, ['x'], { rules: ['x'] }),
    },
    { name: 'that lost what we wrote gets it back', old: injected, now: pod(corp), after: injected },
    { name: 'that lost only our annotation and an entry gets both back', old: withMine, now: pod(corp, ['mine']), after: withMine },
    { name: 'that lost only entries gets them back in their order', old: injected, now: pod(corp, ['dockercfg'], both), after: injected },
    {
      name: 'that sent an empty list gets the old one back',
      old: injected,
      now: { ...pod(corp), spec: { ...pod(corp).spec, imagePullSecrets: [] } },
      after: injected,
    },
    {
      name: 'that lost a secret no rule wants any more gets it back, since the template did not change',
      old: pod(open, ['old'], { rules: ['old'] }),
      now: pod(open),
      after: pod(open, ['old'], { rules: ['old'] }),
    },
    { name: 'with a new image keeps the secrets', old: injected, now: newImage(injected), after: newImage(injected) },
    { name: 'with a new image and without our part gets it anew', old: injected, now: newImage(pod(corp)), after: newImage(injected) },
    { name: 'with an image that needs none loses ours', old: injected, now: pod(open, ['corp', 'dockercfg'], both), after: pod(open) },
    {
      name: "with an image that needs none keeps the author's",
      old: withMine,
      now: pod(open, ['mine', 'corp'], { rules: ['corp'] }),
      after: pod(open, ['mine']),
    },
    {
      name: 'with an image of another registry swaps ours',
      old: withMine,
      now: pod('multi.io/x', ['mine', 'corp'], { rules: ['corp'] }),
      after: pod('multi.io/x', ['mine', 'one', 'two'], { rules: ['one', 'two'] }),
    },
    {
      name: "where the author lists one of their own no longer has the account's",
      old: injected,
      now: pod(corp, ['mine', 'corp', 'dockercfg'], both),
      after: pod(corp, ['mine', 'corp'], { rules: ['corp'] }),
    },
    {
      name: 'that lost only our annotation gets it back, as of a writer that leaves out annotations it does not know',
      old: injected,
      now: pod(corp, ['corp', 'dockercfg']),
      after: injected,
    },
    {
      name: 'that lost only our annotation gets it back beside what the author listed',
      old: withMine,
      now: pod(corp, ['mine', 'corp']),
      after: withMine,
    },
    {
      name: "that lost our annotation and changes something else is the author's",
      old: injected,
      now: { ...pod(corp, ['corp', 'dockercfg']), metadata: { name: 'web', labels: { a: 'b' } } },
      after: { ...pod(corp, ['corp', 'dockercfg']), metadata: { name: 'web', labels: { a: 'b' } } },
    },
    {
      name: "that lost our annotation and lists another secret is the author's",
      old: injected,
      now: pod(corp, ['corp', 'dockercfg', 'mine']),
      after: pod(corp, ['corp', 'dockercfg', 'mine']),
    },
    {
      name: 'that empties our annotation gets it back',
      old: injected,
      now: pod(corp, ['corp', 'dockercfg'], {}),
      after: injected,
    },
    {
      name: 'that forges our annotation gets the right one back',
      old: injected,
      now: pod(corp, ['corp', 'dockercfg'], { rules: ['dockercfg', 'other'] }),
      after: injected,
    },
    {
      name: "that brings our annotation for the author's secret loses it",
      old: pod(corp, ['corp']),
      now: pod(corp, ['corp'], { rules: ['other'] }),
      after: pod(corp, ['corp']),
    },
    {
      name: 'that brings a marked secret which was not there is a change, not a loss',
      old: pod(corp),
      now: pod(corp, ['corp'], { rules: ['corp'] }),
      after: pod(corp, ['corp', 'dockercfg'], both),
    },
  ])('$name', ({ old, now, after }) => {
    const result = inject(change('Deployment', deployment(now), deployment(old)), rules, facts);
    expect(withoutEmpty(result.spec.template)).toEqual(withoutEmpty(after));
  });

  test('that takes out what the author once applied, and a rule asks for, keeps the secrets of the account in every pass', () => {
    const applied = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(deployment(pod(corp, ['corp']))) };
    const edited = { ...deployment(pod(corp)), metadata: { name: 'web', annotations: applied } };
    // `inject` expects that a second pass changes nothing.
    const after = inject(change('Deployment', edited, deployment(pod(open))), rules, facts);
    expect(credentialsOf(after.spec.template)).toEqual({ list: ['corp', 'dockercfg'], mark: { serviceAccount: ['dockercfg'] } });
  });

  test("that changes the account swaps the account's secrets", () => {
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

  describe('keeps a secret that the author lists by now, although it was ours before', () => {
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
      { name: 'in what was applied on the server side', metadata: managed('Apply', list), kept: true },
      { name: 'not where the file is silent', metadata: applied({ spec: {} }), kept: false },
      {
        name: 'not where the file is no JSON',
        metadata: { annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{' } },
        kept: false,
      },
      {
        name: 'not where the file is a copy of a live object, with its mark',
        metadata: applied({ metadata: ours, spec: { imagePullSecrets: secrets('corp') } }),
        kept: false,
      },
      { name: 'not where a live object was applied, with its mark', metadata: managed('Apply', { ...list, ...marked }), kept: false },
      // A client that updates without applying also owns the fields that webhooks add.
      { name: 'not in what was updated', metadata: managed('Update', list), kept: false },
    ])('$name', ({ metadata, kept }) => {
      const now = { metadata, spec: { template: template('multi.io/x') } };
      const { spec } = inject(change('Deployment', now, { spec: { template: template(corp) } }), rules, accounts({ default: [] }));
      expect(credentialsOf(spec.template)).toEqual({
        list: kept ? ['corp', 'one', 'two'] : ['one', 'two'],
        mark: { rules: ['one', 'two'] },
      });
    });
  });

  describe("of a Job puts back what the author's own file took out, which the API server would refuse", () => {
    const author = (more: object = {}) => deployment({ ...pod(corp), spec: { ...pod(corp).spec, ...more } });
    const stored = inject(change('Job', author()), rules, facts);

    test('where nothing else changes', () => {
      expect(stored).not.toEqual(author());
      expect(inject(change('Job', author(), stored), rules, facts)).toEqual(stored);
    });

    test('beside what may change while it is suspended', () => {
      const { template } = inject(change('Job', author({ nodeSelector: { disk: 'fast' } }), stored), rules, facts).spec;
      expect(template.spec.nodeSelector).toEqual({ disk: 'fast' });
      expect(credentialsOf(template)).toEqual(credentialsOf(stored.spec.template));
    });

    test('and nothing where the author changes the list, which is refused anyway', () => {
      const now = author({ imagePullSecrets: secrets('mine') });
      expect(inject(change('Job', now, stored), rules, facts)).toEqual(now);
    });

    test('and our annotation alone, also beside what may change while it is suspended', () => {
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

  describe("of a Pod puts back what the author's own file took out, which the API server would refuse", () => {
    const author = pod(corp);
    const stored = inject(change('Pod', author), rules, accounts({ default: [] }));

    test('where nothing else changes', () => {
      expect(stored).not.toEqual(author);
      expect(inject(change('Pod', author, stored), rules, facts)).toEqual(stored);
    });

    test('beside the image, which may change', () => {
      const now = pod('corp.io/app:2');
      const decision = decided(change('Pod', now, stored), rules, facts);
      expect(credentialsOf(patched(now, decision))).toEqual(credentialsOf(stored));
      expect([decision.injected, decision.notices]).toEqual([[{ path: 'spec.imagePullSecrets', secret: 'corp', from: 'rule' }], []]);
    });

    test('beside what the author listed', () => {
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
      ['where the file changes the list, which is refused anyway', pod(corp, ['mine']), stored],
      [
        'where secrets of the account are missing too, which we did not write',
        author,
        pod(corp, ['dockercfg', 'corp'], { rules: ['corp'] }),
      ],
      ['where nothing of the Pod is marked', author, pod(corp, ['corp'])],
    ])('and nothing %s', (_where, now, old) => {
      expect(decided(change('Pod', now, old), rules, facts).patch).toEqual([]);
    });

    test('and nothing of the mirror Pod of a node', () => {
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

  describe('whose list has entries with more than a name, as those of custom resources can', () => {
    const mark = { annotations: { 'regkeeper.io/injected': '{"rules":["corp"]}' } };
    const listing = (list: readonly unknown[], metadata = {}) => ({
      metadata,
      spec: { containers: containers(corp), imagePullSecrets: list },
    });

    test('restores an entry of ours with all it had', () => {
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

  describe("where the user's applied file lists a secret", () => {
    const applied = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(deployment(pod(corp, ['corp']))) };
    const edited = (template: PodObject) => ({ ...deployment(template), metadata: { name: 'web', annotations: applied } });

    test('restores what it lost of ours, the mark to the letter', () => {
      const after = inject(change('Deployment', edited(pod(corp, ['corp'], both)), deployment(injected)), rules, facts);
      expect(after.spec.template).toEqual(injected);
    });

    test('restores that secret too where an edit takes it out and a rule needs it, the mark to the letter', () => {
      const old = { ...pod(corp, ['corp']), metadata: { name: 'web', annotations: { 'regkeeper.io/injected': '{ }' } } };
      const after = inject(change('Deployment', edited(pod(corp)), deployment(old)), rules, accounts({ default: [] }));
      expect(after.spec.template).toEqual(old);
    });
  });

  test('of a ReplicaSet with a controller leaves it alone, although it lost what we wrote', () => {
    const owned = (template: PodObject) => ({
      ...deployment(template),
      metadata: { name: 'web', ownerReferences: [{ controller: true }] },
    });
    expect(decided(change('ReplicaSet', owned(pod(corp)), owned(injected)), rules, facts).patch).toEqual([]);
  });

  test('tells what was put back', () => {
    expect(decided(change('Deployment', deployment(pod(corp)), deployment(injected)), rules, facts).injected).toEqual([
      { path: 'spec.template.spec.imagePullSecrets', secret: 'corp', from: 'rule' },
      { path: 'spec.template.spec.imagePullSecrets', secret: 'dockercfg', from: 'serviceAccount' },
    ]);
  });

  test('whose old object cannot be read is treated as new', () => {
    const after = inject(change('Deployment', deployment(pod(corp)), { spec: 1 }), rules, facts);
    expect(credentialsOf(after.spec.template).list).toEqual(['corp', 'dockercfg']);
  });
});

describe('a pod that exists', () => {
  test.each([
    {
      name: 'gets nothing, and its owner is told what it lacks',
      now: pod(corp, ['mine']),
      warned:
        'the Pod lacks the pull secret "corp", and the pull secrets of an existing Pod cannot be changed. Recreate the Pod, or for a debug container, use kubectl debug --copy-to.',
    },
    {
      name: 'that lacks several is told all',
      now: pod('multi.io/x', ['mine']),
      warned:
        'the Pod lacks the pull secrets "one" and "two", and the pull secrets of an existing Pod cannot be changed. Recreate the Pod, or for a debug container, use kubectl debug --copy-to.',
    },
    { name: 'that has the secret needs no words', now: pod(corp, ['corp']), warned: undefined },
  ])('$name', ({ now, warned }) => {
    const decision = decided(change('Pod', now, pod(open)), rules, facts);
    expect(decision.patch).toEqual([]);
    expect(decision.notices.map(({ message }) => message)).toEqual(warned ? [warned] : []);
  });

  const debugged = (by: string, ...images: string[]) => ({
    ...pod(by),
    spec: { ...pod(by).spec, ephemeralContainers: containers(...images) },
  });

  test('takes an ephemeral container without its secret', () => {
    const decision = decided(change('Pod', debugged(open, corp), pod(open)), rules, facts);
    expect(decision).toMatchObject({ patch: [], notices: [{ reason: 'pod-immutable' }] });
  });

  test.each([
    { what: 'what it was made with', now: debugged(corp, open), old: pod(corp) },
    { what: 'an ephemeral container from before', now: debugged(open, corp, open), old: debugged(open, corp) },
  ])('needs no words on $what', ({ now, old }) => {
    expect(decided(change('Pod', now, old), rules, facts).notices).toEqual([]);
  });
});

test('a mirror pod is not touched, and only warned of', () => {
  const mirror = { ...pod('bad.io/x'), metadata: { annotations: { 'kubernetes.io/config.mirror': 'h' } } };
  const decision = decided(change('Pod', mirror, undefined, 'system:node:n1'), rules, facts);
  expect(decision).toMatchObject({ patch: [], notices: [], outcome: 'warned', images: [{ verdict: 'untrusted', reason: 'mirror-pod' }] });
  expect(decided(change('Pod', mirror, undefined, 'alice'), rules, facts).outcome).toBe('denied');
});

describe('an account that allows only what it lists', () => {
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

  test('is told of several secrets together', () => {
    expect(decided(change('Pod', pod('multi.io/x')), rules, strict()).notices.map(({ message }) => message)).toEqual([
      'service account "default" allows only the pull secrets that it lists (kubernetes.io/enforce-mountable-secrets), so "one" and "two" were not added. Add them to the imagePullSecrets of the service account.',
    ]);
  });

  test('is not warned of when the author listed the secret', () => {
    expect(decided(change('Pod', pod(corp, ['corp'])), rules, strict()).notices).toEqual([]);
  });

  test('loses what an earlier pass wrote into a template, and is told', () => {
    const old = deployment(pod(corp, ['corp'], { rules: ['corp'] }));
    const now = deployment(pod('corp.io/new', ['corp'], { rules: ['corp'] }));
    const decision = decided(change('Deployment', now, old), rules, strict());
    expect(credentialsOf(patched(now, decision).spec.template)).toEqual({ list: undefined, mark: undefined });
    expect(decision.notices).toEqual([{ reason: 'secrets-enforced', message: warning }]);
  });
});

describe('an account whose list is too large to be held', () => {
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
    { what: 'says nothing where no secret is needed', kind: 'Deployment', object: pod(open), list: undefined, notices: [] },
    {
      what: 'does not matter where the author lists secrets: the API server copies nothing then',
      kind: 'Deployment',
      object: pod(corp, ['mine']),
      list: ['mine', 'corp'],
      mark: { rules: ['corp'] },
      notices: [],
    },
    {
      what: 'keeps in a template what an earlier pass wrote',
      kind: 'Deployment',
      object: pod('corp.io/new', listed, marked),
      old: pod(corp, listed, marked),
      list: listed,
      mark: marked,
      notices: ['account-too-large'],
    },
    {
      what: 'keeps it under the old name of the field for the account too',
      kind: 'Deployment',
      object: underOldName('robot', pod('corp.io/new', listed, marked)),
      old: underOldName('robot', pod(corp, listed, marked)),
      list: listed,
      mark: marked,
      notices: ['account-too-large'],
    },
    {
      what: 'takes ours out where the template had another account, whose secrets would keep the list from being copied',
      kind: 'Deployment',
      object: of('robot', pod(corp, listed, marked)),
      old: pod(corp, listed, marked),
      list: undefined,
      notices: ['account-too-large'],
    },
    {
      what: 'gives a Pod the secret beside what the API server copied',
      kind: 'Pod',
      object: pod(corp, ['a', 'b']),
      list: ['a', 'b', 'corp'],
      mark: { rules: ['corp'] },
      notices: [],
    },
    { what: 'gives it to a Pod without a list', kind: 'Pod', object: pod(corp), list: ['corp'], mark: { rules: ['corp'] }, notices: [] },
    {
      what: 'keeps in the Pod of a marked template what the mark names',
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

  test('and that allows only its own list gets nothing, since it is not known what is in it', () => {
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
  ])('$what gets the secret of the rule, and a warning where more may be missing', ({ kind, object, injected, notices }) => {
    const decision = decided(change(kind, object), rules, unwatched);
    expect(decision.injected.map(({ secret }) => secret)).toEqual(injected);
    expect(decision.notices.map(({ reason }) => reason)).toEqual(notices);
  });

  test('what an earlier pass found stays', () => {
    const template = pod(corp, ['corp', 'dockercfg'], { rules: ['corp'], serviceAccount: ['dockercfg'] });
    expect(decided(change('Deployment', deployment(template)), rules, unwatched).patch).toEqual([]);
  });

  test('a list of the author needs no account, so no warning', () => {
    expect(decided(change('Deployment', deployment(pod(corp, ['mine']))), rules, unwatched).notices).toEqual([]);
  });
});

/** The API server omits empty maps and lists. */
function withoutEmpty(template: PodObject): unknown {
  return JSON.parse(JSON.stringify(template), (_key, value) =>
    typeof value === 'object' && value !== null && Object.keys(value).length === 0 ? undefined : value,
  );
}

test('an update that only brings a stale secret of ours leaves the template as it was, the mark to the letter', () => {
  const old = deployment({ ...pod(open), metadata: { annotations: { 'regkeeper.io/injected': '{ }' } } });
  const now = deployment({ ...pod(open, ['corp']), metadata: { annotations: { 'regkeeper.io/injected': '{"rules":["corp"]}' } } });
  expect(inject(change('Deployment', now, old), rules, facts)).toEqual(old);
});
