/** The metrics of a server in a cluster. */
import { describe, expect, test } from 'vitest';
import { ownNamespace } from '../regkeeper.ts';
import { target, waitFor } from '../target.ts';
import { withRegkeeper } from '../with-regkeeper.ts';

const cluster = target();
const { kubectl } = cluster;
const keeper = withRegkeeper(cluster, 'rules: [{name: corporate, registry: registry.example.com, pullSecret: corp-pull}]\n');

// This machine must be able to reach the server's health port.
describe.runIf(cluster.local)('the metrics of a server', () => {
  test('count allowed images, denied images, and each secret, by rule', async () => {
    const before = await samples();
    await kubectl(['run', 'web', '--image=registry.example.com/x', '-n', keeper.namespace]);
    await kubectl(['run', 'other', '--image=unknown.example.com/x', '-n', keeper.namespace], { allowFailure: true });
    await kubectl(['run', 'trial', '--image=registry.example.com/x', '-n', keeper.namespace, '--dry-run=server']);
    const after = await waitFor(
      async () => {
        const now = await samples();
        return (now.get('regkeeper_image_verdicts_total{verdict="unconfigured",rule=""}') ?? 0) > 0 ? now : undefined;
      },
      { deadlineSeconds: 60, what: 'the denial to be counted' },
    );
    const more = (name: string) => (after.get(name) ?? Number.NaN) - (before.get(name) ?? 0);
    expect(more('regkeeper_image_verdicts_total{verdict="trusted",rule="corporate"}')).toBe(1);
    expect(more('regkeeper_image_verdicts_total{verdict="unconfigured",rule=""}')).toBe(1);
    expect(more('regkeeper_secrets_injected_total{rule="corporate"}')).toBe(1);
    const pods = 'operation="CREATE",group="",kind="Pod"';
    expect(more(`regkeeper_admission_requests_total{webhook="validate",${pods},outcome="denied"}`)).toBe(1);
    expect(more(`regkeeper_admission_requests_total{webhook="validate",${pods},outcome="allowed"}`)).toBe(2);
  });

  test('show for every watch that it receives data', async () => {
    const idleTimes = [...(await samples())].filter(([name]) => name.startsWith('regkeeper_watch_last_contact_seconds'));
    const resources = idleTimes.map(([name]) => /resource="(.*)"/.exec(name)?.[1]);
    expect(resources.sort()).toEqual([
      'configmaps',
      'imagestreams.image.openshift.io',
      'mutatingwebhookconfigurations.admissionregistration.k8s.io',
      'namespaces',
      'secrets',
      'serviceaccounts',
      'validatingwebhookconfigurations.admissionregistration.k8s.io',
    ]);
    expect(idleTimes.filter(([, seconds]) => !(seconds >= 0 && seconds < 180))).toEqual([]);
  });

  test('show a certificate with most of its validity left, that the replica is ready, and that it is the leader', async () => {
    const all = await samples();
    const [start = 0, end = 0] = ['start', 'expiry'].map((each) => all.get(`regkeeper_certificate_${each}_timestamp_seconds`));
    expect((end - Date.now() / 1000) / (end - start)).toBeGreaterThan(0.9);
    expect(all.get('regkeeper_leader')).toBe(1);
    const ready = [...all].filter(([name]) => name.startsWith('regkeeper_ready'));
    expect(ready.map(([, value]) => value)).toEqual([1, 1, 1, 1]);
  });

  test('count a rejected edit of the rules', async () => {
    const rejected = 'regkeeper_rules_reviews_total{outcome="rejected"}';
    const before = (await samples()).get(rejected) ?? Number.NaN;
    const patch = JSON.stringify({ data: { 'rules.yaml': 'rulez: []' } });
    const edit = await kubectl(['patch', 'configmap', 'regkeeper-rules', '-n', ownNamespace, '--type=merge', '-p', patch], {
      allowFailure: true,
    });
    expect(edit.code).not.toBe(0);
    expect((await samples()).get(rejected)).toBe(before + 1);
    expect((await samples()).get('regkeeper_rules_problems{scope="cluster"}')).toBe(0);
  });
});

async function samples(): Promise<Map<string, number>> {
  const text = await (await fetch(`http://localhost:${keeper.server?.healthPort}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
}
