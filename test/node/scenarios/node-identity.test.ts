/** Tests what only a real kubelet sends: mirror Pods of static Pods under its own identity, and images that are on the node already. */

import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { target, waitFor } from '../../cluster/target.ts';
import { withRegkeeper } from '../../cluster/with-regkeeper.ts';
import { pod } from '../../cluster/workloads.ts';
import {
  actingOnNode,
  auditRecords,
  contentOnNode,
  named,
  needsOwnNode,
  ownNode,
  type PodStatus,
  preloadImage,
  registrySecret,
  requestsFor,
  sleeping,
  untilPullFails,
  untilRunning,
} from '../target.ts';

const cluster = target();
const keeper = withRegkeeper(
  cluster,
  `
mode: enforce
unconfigured: deny
rules:
- {registry: private.test, pullSecret: authorized-pull}
- registry: open.test
`,
);
const acting = actingOnNode(cluster.kubectl, () => keeper.namespace);
const { create, tryCreate } = acting;
const excluded = actingOnNode(cluster.kubectl, () => 'kube-system');

test.concurrent('a static Pod with an untrusted image runs, and its mirror Pod is allowed with a warning and recorded', async ({
  skip,
}) => {
  if (needsOwnNode) skip(needsOwnNode);
  const file = join(ownNode().folder, 'static-pods', 'static.json');
  const { namespace } = keeper;
  await writeFile(file, JSON.stringify(pod('static', sleeping('untrusted.test/static:1'), { namespace })));
  try {
    await untilRunning(acting, named('static-node-1'));
    // Either replica may have evaluated it for either webhook.
    const records = () => {
      const found = auditRecords().filter(({ name }) => name === 'static-node-1');
      const ofWebhook = (webhook: string) => found.find((each) => each.webhook === webhook && each.operation === 'CREATE');
      const both = [ofWebhook('mutate'), ofWebhook('validate')];
      return both.includes(undefined) ? undefined : both;
    };
    const expected = { user: 'system:node:node-1', images: [{ reason: 'mirror-pod' }] };
    expect(await waitFor(records, { deadlineSeconds: 30, what: 'the records of the mirror Pod' })).toMatchObject([
      { ...expected, outcome: 'allowed' },
      { ...expected, outcome: 'warned' },
    ]);
  } finally {
    await rm(file);
    await waitFor(async () => (await acting.list('pods', named('static-node-1'))).length === 0, {
      deadlineSeconds: 90,
      what: 'the mirror Pod to be deleted',
    });
  }
});

test.concurrent('the annotation of a mirror Pod does not help other users', async () => {
  const annotations = { 'kubernetes.io/config.mirror': 'x', 'kubernetes.io/config.source': 'file' };
  const { stderr } = await tryCreate(pod('forged', sleeping('untrusted.test/forged:1', { nodeName: 'node-1' }), { annotations }));
  expect(stderr).toContain('untrusted.test/forged:1');
});

test.concurrent('the kubelet may only create mirror Pods, so its identity does not help to run other Pods', async ({ skip }) => {
  if (needsOwnNode) skip(needsOwnNode);
  const object = JSON.stringify(pod('plain', sleeping('untrusted.test/plain:1')));
  const asNode = ['--kubeconfig', ownNode().kubeletKubeconfig, 'create', '-f', '-', '-n', keeper.namespace];
  const { stderr } = await cluster.kubectl(asNode, { stdin: object, allowFailure: true });
  expect(stderr).toContain('node "node-1" can only create mirror pods');
});

test.concurrent('the kubelet can read the injected secret as soon as the Pod is on its node, and no other secret', async ({ skip }) => {
  if (needsOwnNode) skip(needsOwnNode);
  const readAsNode = async (secret: string) => {
    const args = ['--kubeconfig', ownNode().kubeletKubeconfig, 'get', 'secret', secret, '-n', keeper.namespace];
    return (await cluster.kubectl(args, { allowFailure: true })).stderr;
  };
  await create(registrySecret('authorized-pull', { 'private.test': 'ada' }), registrySecret('unused-pull', { 'private.test': 'ada' }));
  expect(await readAsNode('authorized-pull')).toContain("no relationship found between node 'node-1' and this object");
  await create(pod('authorized', sleeping('private.test/authorized:1')));
  await untilRunning(acting, named('authorized'));
  expect(await readAsNode('authorized-pull')).toBe('');
  expect(await readAsNode('unused-pull')).toContain('Forbidden');
});

test.concurrent("a prefix of a preloaded image's ID runs the image without contacting a registry, and is denied", async ({ skip }) => {
  if (needsOwnNode) skip(needsOwnNode);
  const id = await preloadImage('untrusted.test/on-node:1');
  const prefix = id.slice(0, 'sha256:'.length + 12);
  await excluded.create(pod('by-id', sleeping(prefix)));
  try {
    await untilRunning(excluded, named('by-id'));
    expect(requestsFor('on-node')).toEqual([]);
    for (const image of [prefix, id]) {
      const { code, stderr } = await tryCreate(pod('denied', sleeping(image)));
      expect(code).not.toBe(0);
      expect(stderr).toContain(image);
    }
  } finally {
    await excluded.remove('pod/by-id');
  }
});

test.concurrent('the ID of an image that a Pod has pulled does not run it', async ({ skip }) => {
  if (needsOwnNode) skip(needsOwnNode);
  await excluded.create(pod('by-name', sleeping('untrusted.test/pulled:1')));
  try {
    const running = await untilRunning(excluded, named('by-name'));
    const id = (await imageIdOf(running)).slice(0, 'sha256:'.length + 12);
    await excluded.create(pod('by-id-of-pulled', sleeping(id)));
    await untilPullFails(excluded, named('by-id-of-pulled'));
  } finally {
    await excluded.remove('pod/by-name', 'pod/by-id-of-pulled');
  }
});

/** The id under which the node has the image of the Pod's container. */
async function imageIdOf({ status }: PodStatus): Promise<string> {
  const digest = status.containerStatuses?.[0]?.imageID.split('@')[1] ?? '';
  return (JSON.parse(await contentOnNode(digest)) as { config: { digest: string } }).config.digest;
}
