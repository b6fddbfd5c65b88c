import { isDeepStrictEqual } from 'node:util';
import { valueAt } from '../object/json.ts';
import { type KindRow, kindsWithImages } from '../object/kinds.ts';
import { rulesLabel } from '../rules/config-map.ts';
import type { LabelRequirement } from '../rules/ruleset.ts';
import type { CertificateSource } from '../tls/source.ts';
import { type ApiClient, ApiError, type KubeObject, type Log } from './api.ts';
import { type Checks, keepChecking, onTimer, type Schedule } from './checks.ts';
import { keepAuthorities } from './kept-authorities.ts';
import type { Leadership } from './leader.ts';
import { neverAskedAbout } from './never-asked-about.ts';
import { probeName } from './probe.ts';
import { type ReflectorTimings, watchCollection } from './reflector.ts';
import { messageOf } from './refusals.ts';

/** A kind as webhook rules name it. */
export type RegisteredKind = Pick<KindRow, 'group' | 'version' | 'kind' | 'resource' | 'doors' | 'fields'>;

/** What an installation may choose of the entries of kinds. The guard of the rules has none of it: it can lock nobody out. */
export type WebhookPolicy = {
  readonly failurePolicy: 'Fail' | 'Ignore';
  readonly timeoutSeconds: number;
  /** Requirements beside the exclusions, which always hold. */
  readonly namespaceSelector: readonly LabelRequirement[];
  /** In CEL. */
  readonly matchCondition: string | undefined;
};

const usualPolicy: WebhookPolicy = { failurePolicy: 'Fail', timeoutSeconds: 5, namespaceSelector: [], matchCondition: undefined };

export type WebhookWishes = {
  /** Where the Service is; never intercepted, so that regkeeper can always start. */
  readonly namespace: string;
  readonly service: string;
  /** PEM of the authorities by which the API server verifies us. */
  readonly caBundle: string;
  /** Not intercepted beside regkeeper's own and the two of the system. */
  readonly excludedNamespaces: readonly string[];
  readonly policy?: WebhookPolicy | undefined;
  /** Those that the API serves; all unless told. */
  readonly kinds?: readonly RegisteredKind[] | undefined;
  /** Whether changes of the rules are asked about; not where they come from files. */
  readonly guard?: boolean | undefined;
  /** OpenShift reserves `openshift` and `openshift-*` for itself; elsewhere anybody may create a namespace with such a name. */
  readonly openshift?: boolean | undefined;
};

/** One entry of `webhooks`, as admissionregistration.k8s.io/v1 has it; it says everything that matters, and leaves no default to the API server. */
export type WebhookEntry = { readonly name: string } & Readonly<Record<string, unknown>>;

/** The entries of both webhook configurations. One for each kind, because what makes a request worth asking about differs by kind; and one for the rules. */
export function desiredWebhooks(wishes: WebhookWishes): { mutating: WebhookEntry[]; validating: WebhookEntry[] } {
  const { kinds = kindsWithImages, guard = true } = wishes;
  return {
    // Another mutating webhook may add an image after we have looked.
    mutating: kinds.map((kind) => ({ ...entry(wishes, kind, 'mutate'), reinvocationPolicy: 'IfNeeded' })),
    validating: [...kinds.map((kind) => entry(wishes, kind, 'validate')), ...(guard ? [guardEntry(wishes)] : [])],
  };
}

function entry(wishes: WebhookWishes, kind: RegisteredKind, verb: 'mutate' | 'validate'): WebhookEntry {
  const { namespace, excludedNamespaces, openshift = false, policy = usualPolicy } = wishes;
  const { failurePolicy, timeoutSeconds, namespaceSelector, matchCondition } = policy;
  return {
    name: `${kind.resource}${kind.group && `.${kind.group}`}.${verb}.regkeeper.io`,
    admissionReviewVersions: ['v1'],
    clientConfig: clientConfig(wishes, verb),
    rules: rulesFor(kind),
    matchPolicy: 'Equivalent',
    namespaceSelector: {
      matchExpressions: [
        // By a label that the API server sets itself and lets nobody change.
        { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: neverAskedAbout(namespace, excludedNamespaces) },
        // An empty list of values would not be stored, and so never be as wanted.
        ...namespaceSelector.map(({ key, operator, values }) => ({ key, operator, ...(values.length > 0 && { values }) })),
      ],
    },
    matchConditions: [
      ...(openshift ? [{ name: 'not-of-the-platform', expression: notOfThePlatform }] : []),
      { name: 'brings-an-image', expression: bringsAnImage(kind) },
      ...(matchCondition === undefined ? [] : [{ name: chosenCondition, expression: matchCondition }]),
    ],
    failurePolicy,
    sideEffects: 'NoneOnDryRun',
    timeoutSeconds,
  };
}

const chosenCondition = 'chosen-for-this-installation';

/** Of the ConfigMaps that hold rules, in every namespace. It can lock nobody out: while nobody answers, an edit passes, and is judged when it is loaded. */
function guardEntry(wishes: WebhookWishes): WebhookEntry {
  return {
    name: 'configmaps.guard.regkeeper.io',
    admissionReviewVersions: ['v1'],
    clientConfig: clientConfig(wishes, 'guard'),
    rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE', 'UPDATE'], resources: ['configmaps'], scope: 'Namespaced' }],
    matchPolicy: 'Equivalent',
    // Holds for the old object too, so that taking the label away is noticed. The snapshot is written by us alone.
    objectSelector: {
      matchExpressions: [
        { key: rulesLabel, operator: 'Exists' },
        { key: rulesLabel, operator: 'NotIn', values: ['snapshot'] },
      ],
    },
    failurePolicy: 'Ignore',
    sideEffects: 'None',
    timeoutSeconds: 5,
  };
}

function clientConfig({ namespace, service, caBundle }: WebhookWishes, path: string) {
  return {
    service: { namespace, name: service, port: 443, path: `/${path}` },
    caBundle: Buffer.from(caBundle).toString('base64'),
  };
}

// A namespaceSelector knows no prefixes.
const notOfThePlatform = "request.namespace != 'openshift' && !request.namespace.startsWith('openshift-')";

function rulesFor({ group, version, doors }: RegisteredKind): object[] {
  return doors.map(({ resource, operations }) => ({
    apiGroups: [group],
    apiVersions: [version],
    operations,
    resources: [resource],
    scope: 'Namespaced',
  }));
}

/** Labels, scaling and finalizers are not worth asking about, and so they pass even while nobody answers. */
function bringsAnImage({ fields }: RegisteredKind): string {
  const changed = fields.map((field) => {
    // Optional at each step: a condition that fails to evaluate would refuse the request.
    const path = field.map(celStep).join('');
    return `object${path} != oldObject${path}`;
  });
  return ["request.operation == 'CREATE'", ...changed].join(' || ');
}

/** Names of custom resources' fields may be no identifiers of CEL, or words of its own. */
function celStep(name: string | number): string {
  const isPlain = /^[a-z][A-Za-z]*$/.test(name.toString()) && !celWords.has(name.toString());
  return isPlain ? `.?${name}` : `[?${JSON.stringify(name)}]`;
}

// biome-ignore format: one list
const celWords = new Set(['as', 'break', 'const', 'continue', 'else', 'false', 'for', 'function', 'if', 'import', 'in', 'let', 'loop', 'namespace', 'null', 'package', 'return', 'true', 'var', 'void', 'while']);

export type RegistrationOptions = {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly service: string;
  /** Must know its authorities. */
  readonly certificates: CertificateSource;
  /** Whether requests can be answered now, as far as that does not depend on what is published. Asked again and again. */
  readonly ready: () => boolean;
  /** Who leads writes, the others watch. Without it this replica writes too, which is safe: everybody writes the same, over nothing newer. */
  readonly leadership?: Leadership | undefined;
  readonly log: Log;
  /**
   * Proves that the API server reaches us, given the still empty mutating configuration. Without it that is taken for granted, and a
   * mistake in the Service or a NetworkPolicy stops every Pod of the cluster as soon as the entries are there.
   */
  readonly prove?: ((mutating: LiveConfiguration) => Promise<boolean>) | undefined;
  readonly excludedNamespaces?: readonly string[] | undefined;
  readonly policy?: WebhookPolicy | undefined;
  /** Those that are read; Kubernetes' and OpenShift's unless told. */
  readonly kinds?: readonly RegisteredKind[] | undefined;
  /** As in {@link WebhookWishes}. */
  readonly guard?: boolean | undefined;
  readonly schedule?: Schedule | undefined;
  readonly watchTimings?: Partial<ReflectorTimings> | undefined;
};

/**
 * Fills the two shipped webhook configurations as soon as we are ready, and keeps the entries and their caBundle as they should be. A
 * configuration that is not there is left alone: deleting it is how an administrator takes regkeeper out of the way.
 */
export function keepRegistered(options: RegistrationOptions): { close(): Promise<void> } {
  const { ready, log, schedule } = options;
  let stopFilling = async () => {};
  const waiting = keepChecking({
    check: async () => {
      if (!ready()) return;
      waiting.close();
      stopFilling = keepFilled(options);
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
      await stopFilling();
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
export const ourName = 'regkeeper';
export const configurationPaths = configurations.map(({ plural }) => `/apis/${group}/${plural}`);

export type LiveConfiguration = KubeObject & {
  metadata: { ownerReferences?: { uid: string }[] };
  webhooks?: WebhookEntry[] | null;
  /** Names of the entries whose caBundle is one that a replica of ours has written. */
  ourBundles?: readonly string[];
};

type Namespace = KubeObject & { metadata: { deletionTimestamp?: string } };

/** Should two releases of regkeeper ever lead at once, each thinks the other's entries wrong. */
const restBetweenChecks = 5_000;

/** A Pod that has just started is no endpoint of its Service yet, and everybody waits for the installation. Doubled with each proof that fails. */
const firstRestBetweenProofs = 250;

function keepFilled(options: RegistrationOptions): () => Promise<void> {
  const { client, namespace, certificates, ready, log, schedule = onTimer } = options;
  const missed = new Set<string>();
  let failedProofs = 0;
  let cancelNextProof = () => {};

  const check = async (): Promise<'again' | undefined> => {
    if (!ready()) return undefined;
    const present = watches.flatMap(({ configuration, watch }) => {
      const live = watch.get(undefined, ourName);
      if (watch.synced) tellWhenMissing(configuration, live);
      return live ? [{ configuration, live }] : [];
    });
    // Who follows sees from when on an authority is not needed, for it may lead next.
    caBundle();
    // Neither emptying nor being trusted can wait for a leader, and whoever does it does the same.
    if (!leads(options) && !isLeaving() && !present.some(({ live }) => lacksAuthority(live, certificates))) return undefined;
    // While the namespace goes there is nothing to prove, only to empty; a probe would be left behind.
    if (!isLeaving() && !(await isProven(options, present))) {
      const rest = Math.min(restBetweenChecks, firstRestBetweenProofs * 2 ** failedProofs);
      failedProofs += 1;
      cancelNextProof();
      cancelNextProof = schedule(checks.now, rest);
      return undefined;
    }
    failedProofs = 0;
    let failed = false;
    for (const { configuration, live } of present) {
      const { kind } = configuration;
      await fill(options, configuration, live, caBundle).catch((err: unknown) => {
        if (isDeleted(err)) return;
        if (isWithoutHome(err)) return tellWithoutHome();
        failed = true;
        log.error({ err, kind }, `the ${kind} ${ourName} could not be filled: ${aboutChosenCondition(err) ?? messageOf(err)}`);
      });
    }
    return failed ? 'again' : undefined;
  };

  function isLeaving(): boolean {
    const own = home.get(undefined, namespace);
    return home.synced && (own === undefined || own.metadata.deletionTimestamp !== undefined);
  }

  function tellWhenMissing({ kind }: Configuration, live: LiveConfiguration | undefined): void {
    if (live) missed.delete(kind);
    else if (!missed.has(kind)) {
      missed.add(kind);
      log.warn(
        { kind },
        `there is no ${kind} ${ourName}, so its requests are not checked; regkeeper does not make it: apply the deployment again`,
      );
    }
  }

  function tellWithoutHome(): void {
    if (missed.has(namespace)) return;
    missed.add(namespace);
    log.warn({}, `there is no namespace ${namespace}: nothing is registered`);
  }

  const kept = keepAuthorities({ schedule, onOver: () => checks.soon() });
  const caBundle = (): string | undefined => {
    const { authorities } = certificates.current();
    const published = watches.flatMap(({ watch }) => bundlesOfOurs(watch.get(undefined, ourName)));
    return authorities && kept.bundle(authorities, [...new Set(published)]);
  };

  const checks: Checks = keepChecking({
    check,
    onFailure: (err) => log.error({ err }, `the webhook configurations could not be filled: ${messageOf(err)}`),
    everyMilliseconds: 60_000,
    apartMilliseconds: restBetweenChecks,
    schedule,
  });
  const follow = <T extends KubeObject>(path: string, name: string, heard: (object: T | undefined) => void, keep?: (object: T) => T) =>
    watchCollection<T>({
      client,
      path,
      fieldSelector: `metadata.name=${name}`,
      keep,
      log,
      // A check of one alone would only put off the check of both.
      onChange: ({ object }) => watches.every(({ watch }) => watch.synced) && heard(object),
      timings: options.watchTimings,
    });
  const watches = configurations.map((configuration) => ({
    configuration,
    watch: follow<LiveConfiguration>(`/apis/${group}/${configuration.plural}`, ourName, checks.soon, withOurBundles),
  }));
  // Its deletion must be heard within the 5 s after which the namespace controller takes our rights and our Pods away.
  const home = follow<Namespace>('/api/v1/namespaces', namespace, (object) =>
    object?.metadata.deletionTimestamp === undefined ? checks.soon() : checks.now(),
  );
  const forgetCertificates = certificates.onChange(checks.soon);
  // The look before has led to nothing, so nobody needs a rest from it.
  const forgetLeadership = options.leadership?.onChange(checks.now);
  return async () => {
    forgetCertificates();
    forgetLeadership?.();
    checks.close();
    kept.close();
    await Promise.all([home, ...watches.map(({ watch }) => watch)].map((watch) => watch.close()));
  };
}

function leads({ leadership }: RegistrationOptions): boolean {
  return leadership?.leads() ?? true;
}

/**
 * Whether the API server may not take a certificate that is shown, or waits to be. The first of the authorities signs; what else there is the
 * leader publishes. Nobody takes away at once what another has published, so two that have different files do not write in turn.
 */
function lacksAuthority({ webhooks }: LiveConfiguration, { current }: CertificateSource): boolean {
  const [signing = ''] = (current().authorities ?? '').split(/(?<=-----END CERTIFICATE-----\n)/);
  return (webhooks ?? []).filter(callsUs).some((entry) => !bundleOf(entry).includes(signing));
}

/** By which authorities the API server verifies who answers for the entry, PEM. */
export function bundleOf({ clientConfig }: WebhookEntry): string {
  const { caBundle = '' } = (clientConfig ?? {}) as { caBundle?: string };
  return Buffer.from(caBundle, 'base64').toString();
}

/** Notes who wrote the bundles, while managedFields are still there: what another hand put in is put back, not kept. */
function withOurBundles(live: LiveConfiguration): LiveConfiguration {
  const managers = valueAt(live, ['metadata', 'managedFields']);
  const ours = (Array.isArray(managers) ? managers : []).filter(
    (each) => valueAt(each, ['manager']) === ourName && valueAt(each, ['operation']) === 'Apply',
  );
  const isOurBundle = (name: string) => {
    const field = ['fieldsV1', 'f:webhooks', `k:{"name":"${name}"}`, 'f:clientConfig', 'f:caBundle'];
    return ours.some((each) => valueAt(each, field) !== undefined);
  };
  return { ...live, ourBundles: (live.webhooks ?? []).map(({ name }) => name).filter(isOurBundle) };
}

function bundlesOfOurs(live: LiveConfiguration | undefined): string[] {
  const { webhooks, ourBundles = [] } = live ?? {};
  return (webhooks ?? []).filter((entry) => callsUs(entry) && ourBundles.includes(entry.name)).map(bundleOf);
}

/** Whether the API server is known to reach us. Where it asks us already, that is not for us to doubt. */
async function isProven({ prove }: RegistrationOptions, present: readonly { configuration: Configuration; live: LiveConfiguration }[]) {
  if (!prove || present.some(({ live }) => isInService(live))) return true;
  const mutating = present.find(({ configuration }) => configuration.entries === 'mutating');
  return mutating !== undefined && (await prove(mutating.live));
}

function isInService({ webhooks }: LiveConfiguration): boolean {
  return (webhooks ?? []).some(callsUs);
}

/** Not the probe, which waits for nobody's answer. */
export function callsUs({ name }: WebhookEntry): boolean {
  return isOurs(name) && name !== probeName;
}

async function fill(
  options: RegistrationOptions,
  { kind, plural, entries }: Configuration,
  live: LiveConfiguration,
  caBundle: () => string | undefined,
): Promise<void> {
  const { client, namespace, log } = options;
  const home = await client.get<Namespace>(`/api/v1/namespaces/${namespace}`);
  const owner = ownerReference(home);
  // Our Pods go before the namespace is gone and takes the configurations with it, if it ever is: nobody would answer in between.
  const leaving = home.metadata.deletionTimestamp !== undefined;
  const desired = async () => (leaving ? [] : (await desiredNow(options, caBundle()))[entries]);
  if (!differs(live, await desired(), owner.uid)) return;
  // Whoever was cut off for a while may hold authorities that nobody uses any more, and must not publish them over the present ones.
  await options.certificates.refresh?.();
  const wanted = await desired();
  if (!differs(live, wanted, owner.uid)) return;
  // Proving and reading take their time.
  if (!leaving && !leads(options) && !lacksAuthority(live, options.certificates)) return;

  const path = `/apis/${group}/${plural}/${ourName}`;
  // With its uid the request fails where an apply would otherwise make anew what was deleted a moment ago.
  const metadata = { name: ourName, uid: live.metadata.uid, ownerReferences: [owner] };
  const body = { apiVersion: group, kind, metadata, webhooks: wanted };
  let applied: LiveConfiguration;
  try {
    applied = await client.patchApply<LiveConfiguration>(path, body, { fieldManager: ourName, force: false });
  } catch (error) {
    if (!isFieldConflict(error)) throw error;
    // The way out of regkeeper is deleting the configuration, not weakening it unseen.
    log.warn(
      { err: error, kind },
      `the entries of the ${kind} ${ourName} were changed by somebody else and are put back: ${messageOf(error)}`,
    );
    applied = await client.patchApply<LiveConfiguration>(path, body, { fieldManager: ourName, force: true });
  }
  await takeOutLeftOvers(options, path, applied, wanted);
  if (leaving)
    log.warn({ kind }, `the namespace ${namespace} is being deleted: the ${kind} ${ourName} was emptied, nothing is checked any more`);
  else log.info({ kind, webhooks: wanted.map(({ name }) => name) }, `filled the ${kind} ${ourName}`);
}

/**
 * Entries of ours that somebody else has written, as whoever brings back a backup does. An apply takes away only what it wrote itself, and these
 * would ask us, by an old authority, for as long as the configuration lives.
 */
async function takeOutLeftOvers(
  { client, log }: RegistrationOptions,
  path: string,
  { metadata: { uid }, webhooks }: LiveConfiguration,
  wanted: readonly WebhookEntry[],
): Promise<void> {
  const left = (webhooks ?? []).filter(({ name }) => isOurs(name) && !wanted.some((entry) => entry.name === name)).map(({ name }) => name);
  if (left.length === 0) return;
  await client.request({
    method: 'PATCH',
    path,
    query: { fieldManager: ourName },
    contentType: 'application/strategic-merge-patch+json',
    body: { metadata: { uid }, webhooks: left.map((name) => ({ $patch: 'delete', name })) },
  });
  log.warn({ webhooks: left }, `entries that somebody else had written in regkeeper's name were taken away: ${left.join(', ')}`);
}

async function desiredNow(
  { client, namespace, service, excludedNamespaces = [], policy, kinds = kindsWithImages, guard }: RegistrationOptions,
  caBundle: string | undefined,
) {
  if (caBundle === undefined) throw new Error('the source of the certificate does not tell its authorities, which the API server needs');
  return desiredWebhooks({
    namespace,
    service,
    caBundle,
    excludedNamespaces,
    policy,
    guard,
    kinds: await kindsServed(client, kinds),
    openshift: await client.hasResource('config.openshift.io/v1', 'clusterversions'),
  });
}

/** With the doors that are there. A kind without any is not registered, until somebody installs it. */
async function kindsServed(client: ApiClient, kinds: readonly RegisteredKind[]): Promise<readonly RegisteredKind[]> {
  const served = kinds.map(async (kind) => {
    const open = await Promise.all(kind.doors.map(({ resource }) => isServed(client, kind, resource)));
    return { ...kind, doors: kind.doors.filter((_, index) => open[index]) };
  });
  return (await Promise.all(served)).filter(({ doors }) => doors.length > 0);
}

/** Kubernetes' own kinds always are; the rest is there only where somebody installed it. */
async function isServed(client: ApiClient, { group, version }: RegisteredKind, resource: string): Promise<boolean> {
  return !group.includes('.') || (await client.hasResource(`${group}/${version}`, resource));
}

/** With the namespace go its webhook configurations: a namespace deleted first would leave a cluster that asks nobody. */
function ownerReference({ metadata: { name, uid } }: Namespace) {
  if (uid === undefined) throw new Error(`the namespace ${name} has no uid`);
  return { apiVersion: 'v1', kind: 'Namespace', name, uid };
}

/** Entries of others are not ours to judge; entries of ours that are not wanted any more go with the next apply. */
function differs(live: LiveConfiguration, wanted: readonly WebhookEntry[], owner: string): boolean {
  if (!live.metadata.ownerReferences?.some(({ uid }) => uid === owner)) return true;
  const ours = (live.webhooks ?? []).filter(({ name }) => isOurs(name));
  return ours.length !== wanted.length || wanted.some((entry) => !ours.some((each) => holds(each, entry)));
}

function isOurs(name: string): boolean {
  return name.endsWith('.regkeeper.io');
}

/** Whether the live entry is as wanted in every field we write; the API server adds defaults to the others. */
function holds(live: WebhookEntry, wanted: WebhookEntry): boolean {
  return Object.entries(wanted).every(([field, value]) => isDeepStrictEqual(live[field], value));
}

/** Another manager holds the field; a 409 about the uid or the version has another cause. */
function isFieldConflict(error: unknown): boolean {
  return error instanceof ApiError && error.status === 409 && /conflicts? with /.test(error.message);
}

/** The configuration was deleted after it had been read; the watch will tell. */
function isDeleted(error: unknown): boolean {
  return error instanceof ApiError && error.status === 409 && /uid mismatch/.test(error.message);
}

/** The namespace is gone, and takes the configurations along. */
function isWithoutHome(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}

/** The API server complains of each entry again, and quotes the expression each time; ours always compile, so it is the chosen one. */
function aboutChosenCondition(error: unknown): string | undefined {
  if (!(error instanceof ApiError) || error.status !== 422) return undefined;
  const [, reason] =
    /matchConditions\[\d+\]\.expression: Invalid value: "(?:[^"\\]|\\.)*": (.*?)(?: \| |, webhooks\[|$)/.exec(error.message) ?? [];
  return reason === undefined ? undefined : `correct --match-condition: ${reason}`;
}
