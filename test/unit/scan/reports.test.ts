/** `scan --report`: what the Reports contain, their limits, and which are written and deleted. */
import { describe, expect, test } from 'vitest';
import { desiredWebhooks } from '../../../src/cluster/registration/desired.ts';
import type { Outcome } from '../../../src/decision/decision.ts';
import { ApiError } from '../../../src/kube/api-client.ts';
import { dayOf } from '../../../src/rules/trust-end.ts';
import { buildReports, type NamespaceReport } from '../../../src/scan/report/namespace-report.ts';
import type { ScannedWorkload } from '../../../src/scan/scan.ts';
import { runOnCluster } from '../cli/run.ts';
import { deployment, type LiveApiOptions, type LiveObject, liveApi, namespace, pod, rulesConfigMap } from './live-api.ts';

const tomorrow = dayOf(Date.now() + 86_400_000);
const yesterday = dayOf(Date.now() - 86_400_000);
const rules = `
mode: enforce
rules:
- name: corporate
  registry: registry.example.com
  pullSecret: corp-pull
- registry: old.example.com
  until: ${tomorrow}
exemptions:
- {image: legacy.example.com/a, until: ${tomorrow}, reason: TICKET-1}
- {image: legacy.example.com/b, until: ${yesterday}, reason: TICKET-2}
`;
const { validating } = desiredWebhooks({ namespace: 'regkeeper', service: 'regkeeper', caBundle: '', excludedNamespaces: [] });
const webhooks: LiveObject = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingWebhookConfiguration',
  metadata: { name: 'regkeeper' },
  webhooks: validating,
};
const reportIn = (place: string, labels: Record<string, string> = {}, name = 'regkeeper'): LiveObject => ({
  apiVersion: 'openreports.io/v1alpha1',
  kind: 'Report',
  metadata: { name, namespace: place, labels },
});
const ours = { 'app.kubernetes.io/managed-by': 'regkeeper' };
/** The cluster has the kind because another program has a Report. */
const base = [webhooks, namespace('shop'), namespace('billing'), reportIn('billing', {}, 'of-another-program'), rulesConfigMap(rules)];

async function report(objects: readonly LiveObject[], argv: readonly string[] = [], options: LiveApiOptions = {}) {
  const api = liveApi([...base, ...objects], options);
  const result = await runOnCluster(api.client, 'scan', '--report', ...argv);
  const path = (place: string) => `/apis/openreports.io/v1alpha1/namespaces/${place}/reports/regkeeper`;
  return { ...result, requested: api.requested, reportOf: (place: string) => api.get(path(place)) as unknown as NamespaceReport };
}

describe('a Report', () => {
  test('contains the results of a namespace, the worst first, and the revision of the rules', async () => {
    const { reportOf, out, err, exitCode } = await report([
      ...deployment({ image: 'registry.example.com/web:1', pods: 2 }),
      ...deployment({ name: 'report', image: 'docker.io/acme/report:1', pods: 3 }),
      ...deployment({ name: 'batch', image: 'old.example.com/batch:1', pods: 1 }),
    ]);
    expect({ err, exitCode }).toEqual({ err: '', exitCode: 0 });
    expect(out).toContain('1 Report written, 0 deleted\n');
    const { metadata, scope, source, summary, results } = reportOf('shop');
    expect(metadata).toMatchObject({
      name: 'regkeeper',
      namespace: 'shop',
      labels: { ...ours, 'regkeeper.io/rules-revision': expect.stringMatching(/^[0-9a-f]{12}$/) },
    });
    expect(Date.parse(metadata.annotations['regkeeper.io/evaluated-at'] ?? '')).toBeGreaterThan(Date.now() - 60_000);
    expect({ scope, source }).toEqual({ scope: { apiVersion: 'v1', kind: 'Namespace', name: 'shop' }, source: 'regkeeper' });
    expect(summary).toEqual({ fail: 1, error: 0, warn: 1, pass: 1, skip: 0 });
    expect(results).toMatchObject([
      {
        policy: 'regkeeper',
        category: 'Image registries',
        severity: 'high',
        result: 'fail',
        scored: true,
        message: expect.stringMatching(/^"docker.io\/acme\/report:1": denied \(unconfigured\)\.\n.*is not from a configured registry/),
        resources: [{ apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'shop', name: 'report' }],
        properties: { reason: 'unconfigured', images: 'docker.io/acme/report:1', pods: '3' },
      },
      { result: 'warn', scored: false, rule: 'old.example.com', properties: { reason: 'trust-ending', until: tomorrow } },
      { result: 'pass', rule: 'corporate', resources: [{ name: 'web' }], properties: { reason: 'trusted', pods: '2' } },
    ]);
  });

  test('counts an exemption that has expired as expired', async () => {
    const { reportOf } = await report([
      pod({ name: 'a', image: 'legacy.example.com/a:1' }),
      pod({ name: 'b', image: 'legacy.example.com/b:1' }),
    ]);
    expect(reportOf('shop').results).toMatchObject([
      { result: 'fail', resources: [{ name: 'b' }] },
      { result: 'pass', resources: [{ name: 'a' }], properties: { reason: 'exempted', until: tomorrow } },
    ]);
  });

  test('warns about what the mode still allows', async () => {
    const audited = rulesConfigMap('mode: audit\nrules: []');
    const { reportOf, exitCode } = await report([audited, pod({ image: 'docker.io/acme/x:1' })]);
    expect(reportOf('shop').results).toMatchObject([{ result: 'warn', scored: false, properties: { outcomeIfEnforced: 'denied' } }]);
    expect(exitCode).toBe(0);
  });

  const scanned = {
    rulesRevision: '0123456789ab',
    ends: [],
    excluded: { namespaces: [], objects: 0 },
    finishedPods: 0,
    notRead: [],
    gaps: [],
    notEvaluated: [],
  };
  const workload = (index: number, outcome: Outcome, images: readonly string[]): ScannedWorkload => {
    const shown = images.map((image) => ({ path: 'spec', image, action: 'pull' as const, verdict: '', reason: outcome, outcome }));
    const content = { outcome, images: shown, messages: images.slice(0, 10) };
    const name = { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: `pod-${index}` };
    return { ...name, outcome, templates: [], pods: [{ count: 1, example: '', value: content }], idleCopies: 0 };
  };

  test('for 10,000 workloads contains the 500 worst results, and counts all', () => {
    const workloads = Array.from({ length: 10_000 }, (_, index) =>
      workload(index, index % 100 === 0 ? 'denied' : 'allowed', [`r.io/${index}`]),
    );
    const [{ metadata, results, summary }] = buildReports({ ...scanned, workloads }, Date.now()) as [NamespaceReport];
    expect(summary).toEqual({ fail: 100, error: 0, warn: 0, pass: 9_900, skip: 0 });
    expect(results).toHaveLength(500);
    expect(results.filter(({ result }) => result === 'fail')).toHaveLength(100);
    expect(metadata.annotations['regkeeper.io/results-omitted']).toBe('9500');
  });

  test('stays under 512 KiB, whatever its objects contain', () => {
    const images = Array.from({ length: 50 }, (_, index) => `${index}${'\u0001'.repeat(2_000)}`);
    const workloads = Array.from({ length: 600 }, (_, index) => workload(index, 'denied', images));
    const [report] = buildReports({ ...scanned, workloads }, Date.now()) as [NamespaceReport];
    expect(Buffer.byteLength(JSON.stringify(report))).toBeLessThan(512 * 1024);
    expect(report.summary.fail).toBe(600);
    expect(report.results.length).toBeGreaterThan(10);
    expect(report.results.length + Number(report.metadata.annotations['regkeeper.io/results-omitted'])).toBe(600);
  });
});

describe('Reports', () => {
  test('for objects that no longer exist, and for namespaces without workloads, are deleted', async () => {
    const stale = { ...reportIn('shop', ours), results: [{ policy: 'regkeeper', message: 'of a Pod that is gone' }] };
    const { reportOf, out } = await report([stale, reportIn('gone', ours), pod({ image: 'registry.example.com/x' })]);
    expect(JSON.stringify(reportOf('shop'))).not.toContain('that is gone');
    expect(reportOf('gone')).toBeUndefined();
    expect(out).toContain('1 Report written, 1 deleted\n');
  });

  test('from other programs stay', async () => {
    const { out, reportOf } = await report([reportIn('other', {}), pod({ image: 'registry.example.com/x' })]);
    expect(reportOf('other')).toBeDefined();
    expect(out).toContain('1 Report written, 0 deleted\n');
  });

  test('for other namespaces stay with -n', async () => {
    const { reportOf } = await report([reportIn('billing', ours), pod({ image: 'registry.example.com/x' })], ['-n', 'shop']);
    expect(reportOf('billing')).toBeDefined();
    expect(reportOf('shop')).toBeDefined();
  });

  test('do not need Secrets', async () => {
    const { requested } = await report([pod({ image: 'registry.example.com/x' })]);
    expect(requested.filter((path) => path.includes('secrets'))).toEqual([]);
  });

  test('show that they are incomplete', async () => {
    const forbidden = ['/apis/apps/v1/deployments'];
    const { reportOf, exitCode, err } = await report([pod({ image: 'registry.example.com/x' })], [], { forbidden });
    expect(reportOf('shop').results[0]).toMatchObject({
      result: 'error',
      message: expect.stringContaining('cannot read deployments.apps in all namespaces'),
    });
    expect(err).toContain('cannot read deployments.apps');
    expect(exitCode).toBe(2);
  });

  /** The Reports of an earlier run, each with a denied image. */
  const earlier = ['shop', 'billing', 'kube-system'].map((place) => ({
    ...reportIn(place, ours),
    summary: { fail: 1, error: 0, warn: 0, pass: 0, skip: 0 },
    results: [{ policy: 'regkeeper', result: 'fail', message: 'docker.io/acme/x:1 is denied' }],
  }));
  const timeout = (path: string) => ({ [path]: new ApiError(0, 'Timeout', `GET ${path}: timed out`) });
  const forbiddenPath = (path: string) => ({ [path]: new ApiError(403, 'Forbidden', `GET ${path}: Forbidden (403)`) });
  const unavailable = { '/discovery/apps/v1': new ApiError(503, 'ServiceUnavailable', 'GET /apis/apps/v1: 503') };
  const shopWithPod = deployment({ image: 'docker.io/acme/x:1', pods: 1 });

  test.each<[title: string, failures: Record<string, ApiError>, named: string]>([
    [
      'Pods and Deployments time out',
      { ...timeout('/api/v1/pods'), ...timeout('/apis/apps/v1/deployments'), ...timeout('/apis/apps/v1/replicasets') },
      'deployments.apps in all namespaces',
    ],
    ['one kind cannot be read', timeout('/apis/apps/v1/statefulsets'), 'statefulsets.apps in all namespaces'],
    ['one kind is forbidden', forbiddenPath('/apis/batch/v1/cronjobs'), 'cronjobs.batch in all namespaces'],
    ['an API is unavailable', unavailable, 'deployments.apps in all namespaces'],
  ])('are not deleted if %s, but show that instead of their earlier results', async (_title, failures, named) => {
    const { reportOf, exitCode, out } = await report([...earlier, pod({ namespace: 'other', image: 'registry.example.com/x' })], [], {
      failures,
    });
    for (const place of ['shop', 'billing']) {
      const { summary, results, metadata } = reportOf(place);
      expect(summary).toEqual({ fail: 0, error: 1, warn: 0, pass: 0, skip: 0 });
      expect(results).toMatchObject([
        { result: 'error', message: expect.stringContaining(`The report is incomplete: cannot read ${named}`) },
      ]);
      expect(metadata.labels['regkeeper.io/rules-revision']).toMatch(/^[0-9a-f]{12}$/);
    }
    expect(reportOf('kube-system')).toBeUndefined();
    expect(out).toMatch(/\d Reports? written \(2 with only an error\), 1 deleted\n$/);
    expect(exitCode).toBe(2);
  });

  test('are not deleted with -n either', async () => {
    const { reportOf, exitCode, out } = await report([...earlier], ['-n', 'shop'], {
      failures: timeout('/api/v1/namespaces/shop/pods'),
    });
    expect(reportOf('shop').results).toMatchObject([
      { result: 'error', message: expect.stringContaining('cannot read pods in namespace shop') },
    ]);
    expect(reportOf('billing').summary.fail).toBe(1);
    expect(out).toContain('1 Report written (1 with only an error), 0 deleted\n');
    expect(exitCode).toBe(2);
  });

  test('are not deleted if an object in them could not be evaluated, and no other Report shows its name', async () => {
    const strange: LiveObject = {
      apiVersion: 'argoproj.io/v1alpha1',
      kind: 'Rollout',
      metadata: { name: 'strange', namespace: 'shop' },
      spec: { canary: { image: 'docker.io/acme/x:1' } },
    };
    const other = pod({ namespace: 'other', image: 'registry.example.com/x' });
    const { reportOf, exitCode, err } = await report(
      [...earlier, strange, other],
      ['--custom-kinds', 'deploy/custom-kinds/custom-kinds.yaml'],
      { expiring: ['/apis/argoproj.io/v1alpha1/rollouts'] },
    );
    expect(reportOf('shop').results).toMatchObject([
      {
        result: 'error',
        message: expect.stringMatching(/Rollout shop\/strange .* spec\.canary\.image looks like an image\. Add its path$/),
      },
    ]);
    expect(reportOf('billing')).toBeUndefined();
    expect(reportOf('other').summary).toMatchObject({ pass: 1, error: 0 });
    expect(err.match(/shop\/strange/g)).toHaveLength(1);
    expect(exitCode).toBe(2);
  });

  test('are deleted if everything was read, and no workload is left', async () => {
    const { reportOf, out, exitCode } = await report([...earlier, ...shopWithPod]);
    expect(reportOf('shop').summary.fail).toBe(1);
    expect(reportOf('billing')).toBeUndefined();
    expect(reportOf('kube-system')).toBeUndefined();
    expect(out).toContain('1 Report written, 2 deleted\n');
    expect(exitCode).toBe(0);
  });

  test('in namespaces that may be excluded are not deleted if the configuration of the webhooks cannot be read', async () => {
    const failures = timeout('/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/regkeeper');
    const { reportOf, out, exitCode } = await report([...earlier, ...shopWithPod], [], { failures });
    expect(reportOf('shop').summary).toMatchObject({ fail: 1, error: 0 });
    expect(reportOf('billing')).toBeUndefined();
    expect(reportOf('kube-system').results).toMatchObject([
      { result: 'error', message: expect.stringContaining('cannot determine which namespaces the webhooks match') },
    ]);
    expect(out).toContain('2 Reports written (1 with only an error), 1 deleted\n');
    expect(exitCode).toBe(2);
  });

  test('begin with what could not be read, even before 500 denied images', async () => {
    const pods = Array.from({ length: 501 }, (_, index) => pod({ name: `p${index}`, image: `docker.io/acme/x:${index}` }));
    const { reportOf } = await report(pods, [], { failures: timeout('/apis/apps/v1/deployments') });
    const { results, summary } = reportOf('shop');
    expect(results).toHaveLength(500);
    expect(results.slice(0, 2)).toMatchObject([{ result: 'error' }, { result: 'fail' }]);
    expect(summary).toMatchObject({ fail: 501, error: 1 });
  });

  test('do not show results of earlier rules while no rules can be loaded', async () => {
    const stale = { ...reportIn('shop', ours), results: [{ policy: 'regkeeper', message: 'stale' }] };
    const api = liveApi([webhooks, namespace('shop'), stale, pod({ image: 'registry.example.com/x' })]);
    const { exitCode, out } = await runOnCluster(api.client, 'scan', '--report');
    expect(api.get('/apis/openreports.io/v1alpha1/namespaces/shop/reports/regkeeper')).toMatchObject({
      summary: { error: 1, pass: 0 },
      results: [{ result: 'error', message: expect.stringContaining('Nothing was evaluated') }],
    });
    expect(out).toBe('1 Report written (1 with only an error), 0 deleted\n');
    expect(exitCode).toBe(2);
  });

  test('that may not be written are logged with the permission, and the others are written', async () => {
    const forbidden = ['/apis/openreports.io/v1alpha1/namespaces/shop/reports/regkeeper'];
    const objects = [pod({ image: 'registry.example.com/x' }), pod({ namespace: 'billing', image: 'registry.example.com/x' })];
    const { reportOf, exitCode, err } = await report(objects, [], { forbidden });
    expect(reportOf('billing')).toBeDefined();
    expect(err).toContain('apiGroups ["openreports.io"], resources ["reports"], resourceNames ["regkeeper"], verbs ["create", "patch"]');
    expect(exitCode).toBe(2);
  });

  test('in a namespace that is being deleted are not a problem', async () => {
    const path = '/apis/openreports.io/v1alpha1/namespaces/shop/reports/regkeeper';
    const failures = { [path]: new ApiError(403, 'Forbidden', 'PATCH: unable to create: namespace shop is being terminated') };
    const { exitCode, out } = await report([pod({ image: 'registry.example.com/x' })], [], { failures });
    expect(exitCode).toBe(0);
    expect(out).toContain('0 Reports written');
  });

  test('need the CRD in the cluster, and one line shows that it is missing', async () => {
    const api = liveApi([webhooks, namespace('shop'), rulesConfigMap(rules), pod({ image: 'registry.example.com/x' })]);
    const { exitCode, out, err } = await runOnCluster(api.client, 'scan', '--report');
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: '' });
    expect(err).toBe(
      'regkeeper: the Report CRD (openreports.io/v1alpha1) is not installed in the cluster, so no Reports were written. Install it\n',
    );
  });

  test.each([
    ['--rules', 'x.yaml'],
    ['-l', 'a=b'],
    ['--date', '2027-01-01'],
    ['--by', 'finding'],
    ['-o', 'json'],
  ])('cover everything, as it is now: %s is a usage error', async (...argv) => {
    const { exitCode, err } = await report([], argv);
    expect(exitCode).toBe(2);
    expect(err).toContain('cannot be used with');
  });
});
