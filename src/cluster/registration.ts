import { isDeepStrictEqual } from 'node:util';
import { kindsWithImages } from '../object/kinds.ts';
import type { CertificateSource } from '../tls/source.ts';
import { type ApiClient, ApiError, type KubeObject, type Log } from './api.ts';
import { type Checks, keepChecking, type Schedule } from './checks.ts';
import { type ReflectorTimings, watchCollection } from './reflector.ts';

/** A kind as webhook rules name it. */
export type RegisteredKind = Readonly<Pick<(typeof kindsWithImages)[number], 'group' | 'version' | 'kind' | 'resource'>>;

export type WebhookWishes = {
  /** Where the Service is; never intercepted, so that regkeeper can always start. */
  readonly namespace: string;
  readonly service: string;
  /** PEM of the authorities by which the API server verifies us. */
  readonly caBundle: string;
  /** Not intercepted beside regkeeper's own and the two of the system. */
  readonly excludedNamespaces: readonly string[];
  /** Those that the API serves; all unless told. */
  readonly kinds?: readonly RegisteredKind[] | undefined;
  /** OpenShift reserves `openshift` and `openshift-*` for itself; elsewhere anybody may create a namespace with such a name. */
  readonly openshift?: boolean | undefined;
};

/** One entry of `webhooks`, as admissionregistration.k8s.io/v1 has it; it says everything that matters, and leaves no default to the API server. */
export type WebhookEntry = { readonly name: string } & Readonly<Record<string, unknown>>;

/** The entries of both webhook configurations. One for each kind, because what makes a request worth asking about differs by kind. */
export function desiredWebhooks(wishes: WebhookWishes): { mutating: WebhookEntry[]; validating: WebhookEntry[] } {
  const { kinds = kindsWithImages } = wishes;
  return {
    // Another mutating webhook may add an image after we have looked.
    mutating: kinds.map((kind) => ({ ...entry(wishes, kind, 'mutate'), reinvocationPolicy: 'IfNeeded' })),
    validating: kinds.map((kind) => entry(wishes, kind, 'validate')),
  };
}

function entry(wishes: WebhookWishes, kind: RegisteredKind, verb: 'mutate' | 'validate'): WebhookEntry {
  const { namespace, service, caBundle, excludedNamespaces, openshift = false } = wishes;
  return {
    name: `${kind.resource}${kind.group && `.${kind.group}`}.${verb}.regkeeper.io`,
    admissionReviewVersions: ['v1'],
    clientConfig: {
      service: { namespace, name: service, port: 443, path: `/${verb}` },
      caBundle: Buffer.from(caBundle).toString('base64'),
    },
    rules: rulesFor(kind),
    matchPolicy: 'Equivalent',
    // By a label that the API server sets itself and lets nobody change.
    namespaceSelector: {
      matchExpressions: [
        {
          key: 'kubernetes.io/metadata.name',
          operator: 'NotIn',
          values: [...new Set([namespace, 'kube-system', 'kube-node-lease', ...excludedNamespaces])],
        },
      ],
    },
    matchConditions: [
      ...(openshift ? [{ name: 'not-of-the-platform', expression: notOfThePlatform }] : []),
      { name: 'brings-an-image', expression: bringsAnImage(kind) },
    ],
    failurePolicy: 'Fail',
    sideEffects: 'NoneOnDryRun',
    timeoutSeconds: 5,
  };
}

// A namespaceSelector knows no prefixes.
const notOfThePlatform = "request.namespace != 'openshift' && !request.namespace.startsWith('openshift-')";

function rulesFor({ group, version, resource, kind }: RegisteredKind): object[] {
  const rule = (operations: string[], name: string) => ({
    apiGroups: [group],
    apiVersions: [version],
    operations,
    resources: [name],
    scope: 'Namespaced',
  });
  const whole = rule(['CREATE', 'UPDATE'], resource);
  // `pods` does not match its subresources, and this one brings containers in.
  return kind === 'Pod' ? [whole, rule(['UPDATE'], 'pods/ephemeralcontainers')] : [whole];
}

/** The fields of each kind outside which no image can hide. */
const fieldsWithImages: Readonly<Record<string, readonly string[]>> = {
  Pod: ['spec.containers', 'spec.initContainers', 'spec.ephemeralContainers', 'spec.volumes'],
  PodTemplate: ['template'],
  CronJob: ['spec.jobTemplate.spec.template'],
  DeploymentConfig: ['spec.template', 'spec.strategy.customParams'],
  BuildConfig: ['spec'],
};

/** Labels, scaling and finalizers are not worth asking about, and so they pass even while nobody answers. */
function bringsAnImage({ kind }: RegisteredKind): string {
  const fields = fieldsWithImages[kind] ?? ['spec.template'];
  const changed = fields.map((field) => {
    // Optional at each step: a condition that fails to evaluate would refuse the request.
    const path = field
      .split('.')
      .map((name) => `.?${name}`)
      .join('');
    return `object${path} != oldObject${path}`;
  });
  return ["request.operation == 'CREATE'", ...changed].join(' || ');
}

export type RegistrationOptions = {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly service: string;
  /** Must know its authorities. */
  readonly certificates: CertificateSource;
  /** Whether requests can be answered now: rules loaded, certificates served, not about to end. Asked again and again. */
  readonly ready: () => boolean;
  readonly log: Log;
  readonly excludedNamespaces?: readonly string[] | undefined;
  readonly schedule?: Schedule | undefined;
  readonly watchTimings?: Partial<ReflectorTimings> | undefined;
};

/**
 * Fills the two shipped webhook configurations as soon as we are ready, and keeps the entries and their caBundle as they should be. A
 * configuration that is not there is left alone: deleting it is how an administrator takes regkeeper out of the way.
 */
export function keepRegistered(options: RegistrationOptions): { close(): Promise<void> } {
  const { ready, log, schedule } = options;
  let closers: (() => Promise<void>)[] = [];
  const waiting = keepChecking({
    check: async () => {
      if (!ready()) return;
      waiting.close();
      closers = configurations.map((configuration) => keepFilled(options, configuration));
    },
    onFailure: (err) => log.error({ err }, 'nothing is registered, because readiness cannot be told'),
    everyMilliseconds: 1_000,
    apartMilliseconds: 100,
    schedule,
  });
  waiting.soon();
  return {
    async close() {
      waiting.close();
      for (const close of closers) await close();
    },
  };
}

type Configuration = { readonly kind: string; readonly plural: string; readonly entries: 'mutating' | 'validating' };

const configurations: readonly Configuration[] = [
  { kind: 'MutatingWebhookConfiguration', plural: 'mutatingwebhookconfigurations', entries: 'mutating' },
  { kind: 'ValidatingWebhookConfiguration', plural: 'validatingwebhookconfigurations', entries: 'validating' },
];

const group = 'admissionregistration.k8s.io/v1';
/** Of both configurations, and the field manager of what we write into them. */
const ourName = 'regkeeper';

type LiveConfiguration = KubeObject & {
  metadata: { ownerReferences?: { uid: string }[] };
  webhooks?: WebhookEntry[] | null;
};

function keepFilled(options: RegistrationOptions, configuration: Configuration): () => Promise<void> {
  const { client, certificates, ready, log } = options;
  const { kind, plural } = configuration;
  let wasThere = true;

  const check = async () => {
    // A replica that is about to end must not undo what its successor writes.
    if (!watch.synced || !ready()) return;
    const live = watch.get(undefined, ourName);
    if (live) await fill(options, configuration, live);
    else if (wasThere) {
      log.warn(
        { kind },
        `there is no ${kind} ${ourName}, so its requests are not checked; regkeeper does not make it: apply the deployment again`,
      );
    }
    wasThere = live !== undefined;
  };

  const checks: Checks = keepChecking({
    check,
    onFailure: (err) => log.error({ err, kind }, `the ${kind} ${ourName} could not be filled: ${messageOf(err)}`),
    everyMilliseconds: 60_000,
    // While two releases of regkeeper run side by side, each may think the other's entries wrong.
    apartMilliseconds: 5_000,
    schedule: options.schedule,
  });
  const watch = watchCollection<LiveConfiguration>({
    client,
    path: `/apis/${group}/${plural}`,
    fieldSelector: `metadata.name=${ourName}`,
    log,
    onChange: checks.soon,
    timings: options.watchTimings,
  });
  const forget = certificates.onChange(checks.soon);
  return async () => {
    forget();
    checks.close();
    await watch.close();
  };
}

async function fill(options: RegistrationOptions, { kind, plural, entries }: Configuration, live: LiveConfiguration): Promise<void> {
  const { client, log } = options;
  const wanted = (await desiredNow(options))[entries];
  const owner = await ownerReference(options);
  if (!differs(live, wanted, owner.uid)) return;

  const path = `/apis/${group}/${plural}/${ourName}`;
  // With its uid the request fails where an apply would otherwise make anew what was deleted a moment ago.
  const metadata = { name: ourName, uid: live.metadata.uid, ownerReferences: [owner] };
  const body = { apiVersion: group, kind, metadata, webhooks: wanted };
  try {
    await client.patchApply(path, body, { fieldManager: ourName, force: false });
  } catch (error) {
    if (!isFieldConflict(error)) throw error;
    // The way out of regkeeper is deleting the configuration, not weakening it unseen.
    log.warn(
      { err: error, kind },
      `the entries of the ${kind} ${ourName} were changed by somebody else and are put back: ${messageOf(error)}`,
    );
    await client.patchApply(path, body, { fieldManager: ourName, force: true });
  }
  log.info({ kind, webhooks: wanted.map(({ name }) => name) }, `filled the ${kind} ${ourName}`);
}

async function desiredNow({ client, namespace, service, certificates, excludedNamespaces = [] }: RegistrationOptions) {
  const { authorities } = certificates.current();
  if (authorities === undefined) throw new Error('the source of the certificate does not tell its authorities, which the API server needs');
  const served = await Promise.all(kindsWithImages.map(({ group, version, resource }) => isServed(client, { group, version, resource })));
  return desiredWebhooks({
    namespace,
    service,
    caBundle: authorities,
    excludedNamespaces,
    kinds: kindsWithImages.filter((_, index) => served[index]),
    openshift: await client.hasResource('config.openshift.io/v1', 'clusterversions'),
  });
}

/** Kubernetes' own kinds always are; the rest is there only where somebody installed it. */
async function isServed(client: ApiClient, { group, version, resource }: Omit<RegisteredKind, 'kind'>): Promise<boolean> {
  return !group.includes('.') || (await client.hasResource(`${group}/${version}`, resource));
}

/** With the namespace go its webhook configurations: a namespace deleted first would leave a cluster that asks nobody. */
async function ownerReference({ client, namespace }: RegistrationOptions) {
  const { metadata } = await client.get<KubeObject>(`/api/v1/namespaces/${namespace}`);
  if (metadata.uid === undefined) throw new Error(`the namespace ${namespace} has no uid`);
  return { apiVersion: 'v1', kind: 'Namespace', name: namespace, uid: metadata.uid };
}

/** Entries of others are not ours to judge; entries of ours that are not wanted any more go with the next apply. */
function differs(live: LiveConfiguration, wanted: readonly WebhookEntry[], owner: string): boolean {
  if (!live.metadata.ownerReferences?.some(({ uid }) => uid === owner)) return true;
  const ours = (live.webhooks ?? []).filter(({ name }) => name.endsWith('.regkeeper.io'));
  return ours.length !== wanted.length || wanted.some((entry) => !ours.some((each) => holds(each, entry)));
}

/** Whether the live entry is as wanted in every field we write; the API server adds defaults to the others. */
function holds(live: WebhookEntry, wanted: WebhookEntry): boolean {
  return Object.entries(wanted).every(([field, value]) => isDeepStrictEqual(live[field], value));
}

/** Another manager holds the field; a 409 about the uid or the version has another cause. */
function isFieldConflict(error: unknown): boolean {
  return error instanceof ApiError && error.status === 409 && /conflicts? with /.test(error.message);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
