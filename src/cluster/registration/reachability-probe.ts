/**
 * The proof that the API server reaches us, before it is told to refuse what we do not answer. A webhook entry that can stop nothing is put
 * into the still empty mutating configuration; then a dry run of a write to our own snapshot ConfigMap, which changes nothing, shows whether
 * it was answered. The answer may come from any replica, and the way leads through Service, network policies and TLS, as it will later.
 */
import { probeAnnotation, probeArrived } from '../../admission/reachability-probe.ts';
import type { CurrentCertificate } from '../../certificates/source.ts';
import { type ApiClient, ApiError, type KubeObject, type Log } from '../../kube/api-client.ts';
import { rulesLabel } from '../../rules/language/config-map.ts';
import { type Clock, sleep, systemClock } from '../../time/clock.ts';
import { snapshotName } from '../rules/rule-snapshot.ts';

export type ReachabilityProbeOptions = {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly service: string;
  /** Must know its authorities. */
  readonly certificates: CurrentCertificate;
  readonly log: Log;
  /** Between two tries; 200 unless told. */
  readonly pauseMilliseconds?: number | undefined;
  readonly clock?: Clock | undefined;
};

type OwnedObject = KubeObject & { readonly metadata: { readonly ownerReferences?: readonly object[] } };

export const probeName = 'probe.regkeeper.io';

/** The API server learns of a new entry within a second or two. */
const maxTries = 15;

/** One proof for each call; the trouble is told once, and again after it has gone. @throws ApiError when the configuration cannot be written */
export function createReachabilityProbe(options: ReachabilityProbeOptions): (mutating: KubeObject) => Promise<boolean> {
  const { namespace, service, log, clock = systemClock } = options;
  let reported = false;
  return async (mutating) => {
    if (!(await putProbe(options, mutating))) return false;
    for (let round = 1; ; round += 1) {
      const failure = await sendDryRun(options);
      if (failure === undefined) {
        if (reported) log.info({}, `the API server reaches the Service ${namespace}/${service} now`);
        reported = false;
        return true;
      }
      if (round < maxTries) {
        await sleep(clock, options.pauseMilliseconds ?? 200);
        continue;
      }
      if (!reported) {
        log.error(
          { reason: failure },
          `the API server does not reach regkeeper through the Service ${namespace}/${service}, so nothing is registered yet: ` +
            `check the selector and port of the Service, the network policies, and whether a Pod is ready (${failure})`,
        );
      }
      reported = true;
      return false;
    }
  };
}

/** False where somebody else wrote meanwhile, most often another replica: the caller looks again. */
async function putProbe(
  { client, namespace, service, certificates }: ReachabilityProbeOptions,
  { metadata }: OwnedObject,
): Promise<boolean> {
  const { caBundle: certificateCaBundle = '' } = certificates.current();
  const { name, uid, resourceVersion, ownerReferences } = metadata;
  const webhook = {
    name: probeName,
    admissionReviewVersions: ['v1'],
    clientConfig: {
      service: { namespace, name: service, port: 443, path: '/probe' },
      caBundle: Buffer.from(certificateCaBundle).toString('base64'),
    },
    rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['UPDATE'], resources: ['configmaps'], scope: 'Namespaced' }],
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
    objectSelector: { matchLabels: { [rulesLabel]: 'snapshot' } },
    matchConditions: [{ name: 'is-a-dry-run', expression: 'has(request.dryRun) && request.dryRun' }],
    failurePolicy: 'Ignore',
    sideEffects: 'None',
    timeoutSeconds: 5,
  };
  const path = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${name}`;
  const body = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    // What an apply does not name, it takes away: with the owner the configuration would outlive its namespace.
    // With the version that was seen empty: another replica may have proved it, and filled the configuration, a moment ago.
    metadata: { name, uid, resourceVersion, ...(ownerReferences && { ownerReferences }) },
    webhooks: [webhook],
  };
  try {
    await client.patchApply(path, body, { fieldManager: 'regkeeper', force: true });
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) return false;
    throw error;
  }
}

/** Why the dry run did not arrive; undefined when it did. */
async function sendDryRun({ client, namespace }: ReachabilityProbeOptions): Promise<string | undefined> {
  const labels = { [rulesLabel]: 'snapshot' };
  const body = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: snapshotName, labels, annotations: { [probeAnnotation]: 'sent' } },
  };
  try {
    const path = `/api/v1/namespaces/${namespace}/configmaps/${snapshotName}`;
    const { metadata } = await client.patchApply<KubeObject>(path, body as KubeObject, {
      fieldManager: 'regkeeper-probe',
      force: true,
      dryRun: 'All',
    });
    return metadata.annotations?.[probeAnnotation] === probeArrived ? undefined : 'a dry run came back without an answer of ours';
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return error.message;
  }
}
