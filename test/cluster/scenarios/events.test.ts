/** Events on a Deployment whose Pods or ReplicaSets are denied: one for two replicas, and with the text of the audit record and of `explain`. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import type { CoreEvent } from '../../../src/cluster/events/event.ts';
import type { AuditRecord } from '../../../src/observe/audit/decision-record.ts';
import { programFile } from '../program.ts';
import { launchRegkeeper, ownNamespace, type Regkeeper, readiness, routeTo } from '../regkeeper.ts';
import { target, waitFor } from '../target.ts';
import { withRegkeeper } from '../with-regkeeper.ts';
import { actingIn, deployment, running } from '../workloads.ts';

const cluster = target();
const { kubectl, kubeconfig, routeService } = cluster;
const image = 'phased-out.example.com:5000/shop/web:1.0';
const trusting = 'contact: the platform team (platform@example.com)\nrules:\n- registry: phased-out.example.com:5000\n';
const denying = `${trusting}  trust: false\n  reason: it is switched off in March\n`;
const keeper = withRegkeeper(cluster, trusting);
const run = actingIn(kubectl, () => keeper.namespace);
let second: Regkeeper | undefined;

afterAll(async () => {
  await second?.end('SIGKILL');
});

describe.runIf(cluster.local)('a Deployment whose Pods are denied', () => {
  test('shows one Event with image, reason and contact, which both replicas count', async () => {
    await run.create(deployment('web', running(image), { replicas: 1 }), deployment('idle', running(image), { replicas: 0 }));
    await waitFor(async () => (await run.list('pods', '-l', 'app=web')).length === 1, {
      deadlineSeconds: 60,
      what: 'the Pod while it is allowed',
    });
    const flags = ['--shutdown-delay-seconds', '0'];
    second = await launchRegkeeper({ kubectl, kubeconfig, directory: join(keeper.folder, 'second'), routeService, flags });
    await keeper.writeRules(denying);
    await waitFor(async () => (await run.tryCreate(pod())).stderr.includes('denied the request'), {
      deadlineSeconds: 60,
      what: 'the rules',
    });
    await run('delete', 'pods', '-l', 'app=web', '--wait=false', '--grace-period=0', '--force');
    const [event] = await waitFor(async () => nonEmpty(await deniedEvents()), { deadlineSeconds: 60, what: 'the Event' });
    expect(event?.involvedObject).toMatchObject({ kind: 'Deployment', name: 'web' });

    await waitFor(async () => second && (await readiness(second)).ready, { deadlineSeconds: 60, what: 'the second replica' });
    if (second) await routeTo(second, cluster);
    // Ends the open connections of the API server to the first replica.
    await keeper.server?.end();
    await run('scale', 'deployment', 'web', '--replicas=2');
    await waitFor(() => records(second).length > 0, { deadlineSeconds: 60, what: 'the second replica to deny a Pod' });
    const counted = () => deniedEvents().then(([each]) => (each?.count ?? 0) > (event?.count ?? 0));
    await waitFor(counted, { deadlineSeconds: 60, what: 'the second replica to count' });
    expect(await deniedEvents()).toHaveLength(1);
    const { stdout } = await run('describe', 'deployment', 'web');
    expect(stdout).toMatch(
      /Warning +ImageDenied +\S+ \(x\d+ over \S+\) +regkeeper +container "app": image "phased-out\.example\.com:5000\/shop\/web:1\.0" is from an untrusted registry .*: it is switched off in March\. Contact: the platform team \(platform@example\.com\)\./,
    );
  });

  test('shows the Event after a restart, whose ReplicaSet is denied before any Pod is tried', async () => {
    await run('rollout', 'restart', 'deployment', 'idle');
    const [event] = await waitFor(async () => nonEmpty(await deniedEvents('idle')), { deadlineSeconds: 60, what: 'the Event' });
    const [ofPods] = await deniedEvents('web');
    expect(event?.involvedObject).toMatchObject({ kind: 'Deployment', name: 'idle' });
    expect(event?.message).toBe(ofPods?.message);
  });

  test('is explained by the Event, the audit record and explain in the same words', async () => {
    const [event] = await deniedEvents('web');
    const [record] = records(second);
    const [message = ''] = record?.messages ?? [];
    expect(event?.message).toBe(`${message} Contact: the platform team (platform@example.com).`);

    const file = join(keeper.folder, 'rules.yaml');
    await writeFile(file, (await kubectl(['get', 'configmap', 'regkeeper-rules', '-n', ownNamespace, '-o', 'yaml'])).stdout);
    const explained = await explain('--rules', file);
    // The server reports the position in the ConfigMap, and explain the one in the file.
    const withoutPlace = (text: string) => text.replace(/(\(rule "[^"]*"), [^)]*\)/, '$1)');
    expect(withoutPlace(message)).toBe(`container "app": image ${withoutPlace(explained.message)}`);
    expect(record?.images[0]).toMatchObject({
      canonical: explained.canonical,
      verdict: explained.verdict,
      reason: explained.reason,
      rule: { name: explained.rule.name },
    });
    expect(explained.outcome).toBe(record?.outcome);

    const inCluster = await explain('--cluster', '--kubeconfig', kubeconfig, '--regkeeper-namespace', ownNamespace);
    expect(message).toBe(`container "app": image ${inCluster.message}`);
    expect(event?.message).toBe(`${message} Contact: ${inCluster.contact}.`);
    expect(record?.images[0]).toMatchObject({ rule: inCluster.rule });
  });

  test('can be replayed from the audit records', async () => {
    const [old, now] = [join(keeper.folder, 'denying.yaml'), join(keeper.folder, 'trusting.yaml')];
    await Promise.all([writeFile(old, denying), writeFile(now, trusting)]);
    const records = join(keeper.folder, 'second/audit.log');
    const args = [programFile(), 'diff', old, now, '--replay', records, '-o', 'json'];
    const { changes, summary } = JSON.parse((await promisify(execFile)(process.execPath, args)).stdout);
    expect(summary).toMatchObject({ newlyDenied: 0, notReplayable: 0, brokenLines: 0 });
    expect(changes).toContainEqual(
      expect.objectContaining({
        effect: 'newly-allowed',
        object: expect.objectContaining({
          kind: 'Pod',
          namespace: keeper.namespace,
          owner: expect.objectContaining({ kind: 'ReplicaSet' }),
        }),
        images: [expect.objectContaining({ image, before: expect.objectContaining({ verdict: 'untrusted' }) })],
      }),
    );
  });

  test('and the rules ConfigMap shows that the rules were accepted', async () => {
    const { stdout } = await kubectl(['describe', 'configmap', 'regkeeper-rules', '-n', ownNamespace]);
    const revision = records(second)[0]?.rulesRevision;
    expect(stdout).toMatch(new RegExp(`Normal +RulesAccepted .* regkeeper +The rules are in effect as revision ${revision}\\.`));
  });
});

function pod() {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { generateName: 'trial-' }, spec: running(image) };
}

/** About every object of the namespace, or about the ones with this name. */
async function deniedEvents(name?: string): Promise<CoreEvent[]> {
  const selector = `reason=ImageDenied${name === undefined ? '' : `,involvedObject.name=${name}`}`;
  return await run.list<CoreEvent>('events', '--field-selector', selector);
}

/** Its denials of Pods that have an owner. */
function records(server: Regkeeper | undefined): AuditRecord[] {
  const all = (server?.audit() ?? []) as unknown as AuditRecord[];
  return all.filter(
    ({ event, webhook, outcome, kind, owner }) =>
      event === 'decision' && webhook === 'validate' && outcome === 'denied' && kind === 'Pod' && owner,
  );
}

type Explanation = {
  readonly message: string;
  readonly canonical: string;
  readonly verdict: string;
  readonly reason: string;
  readonly outcome: string;
  readonly rule: { readonly name: string };
  /** With `--cluster`. */
  readonly contact?: string;
};

async function explain(...rules: string[]): Promise<Explanation> {
  const args = [programFile(), 'explain', ...rules, '-n', keeper.namespace, '-o', 'json', image];
  // Exit code 1: the image is denied.
  const { stdout } = await promisify(execFile)(process.execPath, args).catch((error: { stdout: string }) => error);
  return JSON.parse(stdout) as Explanation;
}

function nonEmpty<Item>(items: readonly Item[]): readonly Item[] | undefined {
  return items.length > 0 ? items : undefined;
}
