/**
 * Proves that the API server reaches regkeeper before webhooks with `failurePolicy: Fail` are registered. A webhook entry that cannot
 * block anything is written into the empty mutating configuration. Then a dry run of a write to the snapshot ConfigMap, which changes
 * nothing, shows whether the webhook answered. Any replica may answer. The request passes the Service, network policies and TLS like later
 * requests.
 */
import { probeAnnotation, probeArrived } from '../../admission/probe-answer.ts';
import type { CurrentCertificate } from '../../certificates/source.ts';
import type { Log } from '../../contracts/log.ts';
import { type ApiClient, ApiError, boundTo, type KubeObject } from '../../kube/api-client.ts';
import { rulesLabel } from '../../rules/language/config-map.ts';
import { type Clock, sleep, systemClock } from '../../time/clock.ts';
import { snapshotName } from '../rules/rule-snapshot.ts';

export type ReachabilityProbeOptions = {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly service: string;
  /** Must know its CA bundle. */
  readonly certificates: CurrentCertificate;
  readonly log: Log;
  /** Time between two tries, 200 by default. */
  readonly pauseMilliseconds?: number | undefined;
  readonly clock?: Clock | undefined;
};

type OwnedObject = KubeObject & { readonly metadata: { readonly ownerReferences?: readonly object[] } };

export const probeName = 'probe.regkeeper.io';

/** The API server sees a new entry within a second or two. */
const maxTries = 15;

/**
 * Each call is one proof. A failure is logged once, and again after a success.
 * @throws ApiError when the configuration cannot be written
 */
export function createReachabilityProbe(
  options: ReachabilityProbeOptions,
): (mutating: KubeObject, signal: AbortSignal) => Promise<boolean> {
  const { namespace, service, log, clock = systemClock } = options;
  let reported = false;
  return async (mutating, signal) => {
    const bound = { ...options, client: boundTo(signal, options.client) };
    if (!(await putProbe(bound, mutating))) return false;
    for (let round = 1; ; round += 1) {
      const failure = await sendDryRun(bound);
      signal.throwIfAborted();
      if (failure === undefined) {
        if (reported) log.info({}, `the API server can now reach regkeeper through the Service ${namespace}/${service}`);
        reported = false;
        return true;
      }
      if (round < maxTries) {
        await sleep(clock, options.pauseMilliseconds ?? 200, signal);
        continue;
      }
      if (!reported) {
        log.error(
          { reason: failure },
          `the API server cannot reach regkeeper through the Service ${namespace}/${service}, so no webhooks are registered yet: ${failure}. ` +
            'Check the selector and port of the Service, the NetworkPolicies, and whether a Pod is ready',
        );
      }
      reported = true;
      return false;
    }
  };
}

/** False if another writer, usually another replica, changed the configuration meanwhile. The caller retries. */
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
    // An apply removes what it does not contain. Without the owner the configuration would outlive its namespace. The resourceVersion is
    // that of the empty configuration, because another replica may just have completed its proof and filled it.
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

/** Why the dry run did not arrive, or undefined if it did. */
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
    return metadata.annotations?.[probeAnnotation] === probeArrived ? undefined : 'the webhook did not respond to a dry run';
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return error.message;
  }
}
