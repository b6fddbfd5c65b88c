/** Simulates other controllers that write regkeeper's webhook configurations. Each watches both configurations and writes with PUT. */
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { configurationPaths } from '../../src/cluster/registration/live-configuration.ts';
import { type ApiClient, ApiError, type KubeObject } from '../../src/kube/api-client.ts';
import { connectApi } from '../../src/kube/client/connect-api.ts';
import { createInformer } from '../../src/kube/informer.ts';
import { loadKubeConfig } from '../../src/kube/kubeconfig.ts';

export type WebhookConfiguration = KubeObject & {
  metadata: { generation?: number };
  webhooks?: ({ name: string; clientConfig: { caBundle?: string }; namespaceSelector?: Selector } & Record<string, unknown>)[];
};
type Selector = { matchExpressions?: { key: string; operator: string; values?: string[] }[] };

export type OtherWriter = {
  /** How many writes the API server has accepted so far. */
  writes(): number;
  stop(): Promise<void>;
};

/** Changes the configuration in place, or leaves it as it is. */
type Change = (configuration: WebhookConfiguration) => void;

/** The admissions enforcer of AKS: adds two requirements to each namespaceSelector, unless the configuration opts out. Source: Azure/AKS#4002. */
export function startEnforcer(kubeconfig: string): Promise<OtherWriter> {
  return startWriter(kubeconfig, 'admissionsenforcer', ({ metadata, webhooks = [] }) => {
    const disabled = 'admissions.enforcer/disabled';
    if (metadata.labels?.[disabled] === 'true' || metadata.annotations?.[disabled] === 'true') return;
    for (const webhook of webhooks) {
      webhook.namespaceSelector ??= {};
      webhook.namespaceSelector.matchExpressions ??= [];
      const list = webhook.namespaceSelector.matchExpressions;
      for (const each of enforced) if (!list.some(({ key }) => key === each.key)) list.push(each);
    }
  });
}

const enforced = [
  { key: 'control-plane', operator: 'NotIn', values: ['true'] },
  { key: 'kubernetes.azure.com/managedby', operator: 'NotIn', values: ['aks'] },
];

/** A writer that narrows each namespaceSelector by a label that any namespace may have. */
export function startNarrower(kubeconfig: string): Promise<OtherWriter> {
  return startWriter(kubeconfig, 'narrower', ({ webhooks = [] }) => {
    for (const webhook of webhooks) {
      const list = webhook.namespaceSelector?.matchExpressions ?? [];
      if (!list.some(({ key }) => key === 'unchecked')) webhook.namespaceSelector = { matchExpressions: [...list, narrowing] };
    }
  });
}

const narrowing = { key: 'unchecked', operator: 'DoesNotExist' };

/**
 * cert-manager's cainjector: writes its CA into each caBundle of an annotated configuration. With `always` it also does so without the
 * annotation, 0.7 s after each change.
 */
export function startCaInjector(kubeconfig: string, caBundle: string, { always = false } = {}): Promise<OtherWriter> {
  return startWriter(
    kubeconfig,
    'cert-manager-cainjector',
    ({ metadata, webhooks = [] }) => {
      if (!always && metadata.annotations?.['cert-manager.io/inject-ca-from'] === undefined) return;
      for (const { clientConfig } of webhooks) clientConfig.caBundle = caBundle;
    },
    always ? 700 : 0,
  );
}

async function startWriter(kubeconfig: string, fieldManager: string, change: Change, afterMilliseconds = 0): Promise<OtherWriter> {
  const client = connectApi(await loadKubeConfig({ file: kubeconfig, env: {} }));
  let writes = 0;
  let writing = Promise.resolve();
  let stopped = false;
  const reconcile = (path: string) => {
    writing = writing.then(async () => {
      if (stopped) return;
      await pause(afterMilliseconds);
      writes += (await writeOnce(client, path, fieldManager, change)) ? 1 : 0;
    });
  };
  const watches = configurationPaths.map((path) =>
    createInformer({ client, path, fieldSelector: 'metadata.name=regkeeper', log: quiet, onChange: () => reconcile(path) }),
  );
  for (const watch of watches) watch.start();
  return {
    writes: () => writes,
    async stop() {
      stopped = true;
      await Promise.all(watches.map((watch) => watch.stop()));
      await writing;
      await client.close();
    },
  };
}

/** Returns whether the configuration had to be changed and was written. */
async function writeOnce(client: ApiClient, path: string, fieldManager: string, change: Change): Promise<boolean> {
  try {
    const live = await client.get<WebhookConfiguration>(`${path}/regkeeper`);
    const changed = structuredClone(live);
    change(changed);
    if (isDeepStrictEqual(live, changed)) return false;
    await client.replace(`${path}/regkeeper`, changed, { fieldManager });
    return true;
  } catch (error) {
    // Conflict: the watch reports the newer object, and the change is retried then. Not found: nothing is left to change.
    if (error instanceof ApiError && (error.status === 409 || error.status === 404)) return false;
    throw error;
  }
}

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
