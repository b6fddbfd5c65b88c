/** A CA and a server certificate that regkeeper issues itself, in a Secret that all replicas share. */
import { X509Certificate } from 'node:crypto';
import type { Log } from '../../contracts/log.ts';
import { errorMessage } from '../../errors/error-message.ts';
import { type ApiClient, ApiError, boundTo, isNotFound, type KubeObject } from '../../kube/api-client.ts';
import { describeRequiredRole } from '../../kube/explain-api-error.ts';
import { createInformer, type InformerTimings } from '../../kube/informer.ts';
import type { Leadership } from '../../kube/leader-election.ts';
import { createReconcileLoop } from '../../kube/reconcile-loop.ts';
import { retryUntilReachable } from '../../kube/retry-until-reachable.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import { isIssuedBy, readCertificatePair, readCertificates, readPrivateKey } from '../inspect.ts';
import { type CertificateWithKey, clockToleranceMilliseconds, issueCa, issueServerCertificate, validityFrom } from '../issue.ts';
import { checkRenewal } from '../renewal.ts';
import { type CertificateSource, createCertificateSource, type ServerCertificate } from '../source.ts';
import { allOf } from '../wording.ts';

export type SecretCertificateOptions = {
  readonly client: ApiClient;
  /** The namespace of the Secret and of the Service. */
  readonly namespace: string;
  readonly secretName: string;
  /** The Service through which the API server calls. The certificate is issued for its names. */
  readonly service: string;
  /** The leader renews in time, other replicas only what is overdue. Without it, any replica renews in time. */
  readonly leadership?: Leadership | undefined;
  readonly log: Log;
  /** Ends the wait for a first certificate. */
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
  readonly watchTimings?: Partial<InformerTimings> | undefined;
};

/**
 * Keeps a CA and a server certificate in the Secret. The leader renews them in time. Any replica renews what is overdue or cannot be
 * served, because without a certificate no replica is ready, and none becomes the leader. The first write wins by the resourceVersion, and
 * the other replicas use its result. `current().caBundle` has all CAs that clients should trust, including the next one. Resolves when
 * there is a certificate to serve.
 * @throws ConfigurationError when the Secret does not belong to regkeeper, or is missing and may not be created; ApiError
 */
export async function manageCertificateSecret(options: SecretCertificateOptions): Promise<CertificateSource> {
  const { client, namespace, secretName, log, signal } = options;
  const secretLabel = `Secret ${namespace}/${secretName}`;
  const clocks = createClockComparison(options);
  const retryOptions = { log, server: client.server, requiredRole: describeSecretRole(options), clock: options.clock, signal };
  const holder = createCertificateSource(await retryUntilReachable(retryOptions, () => reconcileSecret(options, clocks)));
  signal?.throwIfAborted();

  const closing = new AbortController();
  const bound = { ...options, client: boundTo(closing.signal, client) };
  const reconcile = async () => {
    const next = await reconcileSecret(bound, clocks);
    const served = holder.current();
    if (next.certificate === served.certificate && next.caBundle === served.caBundle) return;
    log.info({ secret: secretLabel, notAfter: next.notAfter }, `using the new certificate from ${secretLabel}`);
    holder.replace(next);
  };
  // One after the other. Of two at the same time, the one that read first could finish last.
  let reconciling: Promise<void> = Promise.resolve();
  const refresh = () => {
    reconciling = reconciling.then(reconcile, reconcile);
    return reconciling;
  };

  const reconcileLoop = createReconcileLoop({
    reconcile: refresh,
    onFailure: (err) =>
      log.error(
        { err, secret: secretLabel },
        `cannot reconcile ${secretLabel}: ${errorMessage(err)}. The current certificate is still being served. Retrying`,
      ),
    resyncMilliseconds: 10 * minute,
    minIntervalMilliseconds: 1_000,
    clock: options.clock,
  });
  // Metadata only, as a change notification. The private key is read where it is needed, and kept nowhere else.
  const watch = createInformer({
    client,
    path: `/api/v1/namespaces/${namespace}/secrets`,
    fieldSelector: `metadata.name=${secretName}`,
    metadataOnly: true,
    log,
    onChange: reconcileLoop.requeue,
    clock: options.clock,
    timings: options.watchTimings,
  });
  const unsubscribeLeadership = options.leadership?.onChange(reconcileLoop.requeue);
  reconcileLoop.start();
  watch.start();

  return {
    current: holder.current,
    onChange: holder.onChange,
    refresh,
    async close() {
      unsubscribeLeadership?.();
      holder.close();
      closing.abort();
      await Promise.all([reconcileLoop.stop(), watch.stop()]);
    },
  };
}

const minute = 60_000;
const day = 24 * 60 * minute;
const caLifetime = 2 * 365 * day;
/** Far less than the third of its lifetime that a CA has left when it is renewed, so a leaf is never cut short. */
const leafLifetime = 90 * day;
/** When certificates are renewed and a new CA comes into use. */
type RenewalSchedule = {
  /** The share of its lifetime after which a certificate is renewed. */
  readonly share: number;
  /** How long clients have to trust a new CA before it signs a certificate. There is no hurry, because the old CA has months left. */
  readonly trustPeriod: number;
};
const inTime: RenewalSchedule = { share: 2 / 3, trustPeriod: day };
/** For a server certificate: half a month after renewal was due, and half a month before it expires. */
const overdue: RenewalSchedule = { share: 5 / 6, trustPeriod: 2 * day };
/**
 * The newest ones are kept. Normally there are two or three. If the key is deleted again and again, the new CAs must not fill the Secret.
 */
const maxCas = 10;

// Not app.kubernetes.io/managed-by, because Helm sets that label to its own name in everything it installs.
const ownerLabel = 'regkeeper.io/certificate';
const owner = 'self';

type Secret = KubeObject & { type?: string; data?: Record<string, string> | null };

/** The time by the local clock, and by the clock of the API server, which verifies the certificate. */
type Clocks = { readonly local: Date; readonly apiServer: Date };

/** Compares the clocks. It logs once when the difference is so large that a certificate valid by one may be invalid by the other. */
function createClockComparison({ client, log, clock = systemClock }: SecretCertificateOptions): () => Clocks {
  let skewed = false;
  return () => {
    const local = new Date(clock.now());
    const apiServer = new Date(client.serverTime() ?? local);
    const ahead = local.getTime() - apiServer.getTime();
    const wasSkewed = skewed;
    skewed = Math.abs(ahead) >= clockToleranceMilliseconds;
    if (skewed && !wasSkewed)
      log.warn(
        { ours: local, servers: apiServer },
        `the local clock is ${Math.round(Math.abs(ahead) / minute)} min ${ahead > 0 ? 'ahead of' : 'behind'} the API server's clock. ` +
          'Certificates are renewed only when they are due according to both clocks. Synchronize the clocks',
      );
    if (!skewed && wasSkewed) log.info({}, "the local clock agrees with the API server's clock again");
    return { local, apiServer };
  };
}

/** Reads the Secret, renews what is due, and returns what to serve. */
async function reconcileSecret(options: SecretCertificateOptions, clocks: () => Clocks): Promise<ServerCertificate> {
  const { log, namespace, secretName } = options;
  const secretLabel = `Secret ${namespace}/${secretName}`;
  // Each lost race was won by another replica, whose result the next round usually only reads.
  for (let round = 1; ; round += 1) {
    const secret = await readSecret(options);
    if (secret !== undefined) rejectForeignSecret(secret, secretLabel);
    const kept = readData(secret?.data ?? {});
    // A replica with a wrong clock must not replace what all others serve. Nor must one of several API servers with a wrong clock cause a
    // renewal.
    const { local, apiServer } = clocks();
    const desired = { dnsNames: dnsNamesOf(options), schedule: (options.leadership?.leads() ?? true) ? inTime : overdue };
    const renewal = renew(kept, { ...desired, now: apiServer });
    if (renewal.reasons.length === 0) return certificateOf(renewal.state);
    const localRenewal = local.getTime() === apiServer.getTime() ? renewal : renew(kept, { ...desired, now: local });
    if (localRenewal.reasons.length === 0) return certificateOf(localRenewal.state);
    for (const problem of kept.problems)
      log.warn({ secret: secretLabel }, `${secretLabel} contains invalid data: ${problem}. Recreating the affected keys`);
    try {
      await writeSecret(options, secret, renewal.state);
      log.info({ secret: secretLabel }, `updated ${secretLabel}: ${allOf(renewal.reasons)}`);
      return certificateOf(renewal.state);
    } catch (error) {
      if (!isLostRace(error, secret) || round >= 5) throw error;
      log.debug({ secret: secretLabel, err: error }, `another replica changed ${secretLabel} first`);
    }
  }
}

/** The names of a Service inside the cluster. The API server uses the first one. */
function dnsNamesOf({ service, namespace }: SecretCertificateOptions): string[] {
  return [`${service}.${namespace}.svc`, `${service}.${namespace}.svc.cluster.local`, `${service}.${namespace}`, service];
}

/** A Secret with another name is forbidden too, so the message also names the settings that determine the name. */
function describeSecretRole({ namespace, secretName }: SecretCertificateOptions): string {
  const path = `/api/v1/namespaces/${namespace}/secrets`;
  const role = describeRequiredRole({ path, name: secretName, verbs: ['get', 'list', 'watch', 'update'] });
  return `${role}. Alternatively, correct --service and --namespace, which determine the name of the Secret`;
}

async function readSecret({ client, namespace, secretName }: SecretCertificateOptions): Promise<Secret | undefined> {
  try {
    return await client.get<Secret>(`/api/v1/namespaces/${namespace}/secrets/${secretName}`);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function rejectForeignSecret({ metadata }: Secret, secretLabel: string): void {
  if (metadata.labels?.[ownerLabel] === owner) return;
  throw new ConfigurationError(
    `${secretLabel} does not belong to regkeeper: it has no label ${ownerLabel}=${owner}, so it is left unchanged. ` +
      'If its contents may be replaced, add the label. Otherwise, rename that Secret, and apply the manifests of regkeeper again',
  );
}

async function writeSecret(options: SecretCertificateOptions, previous: Secret | undefined, state: Renewed): Promise<void> {
  const { client, namespace, secretName } = options;
  const collection = `/api/v1/namespaces/${namespace}/secrets`;
  const data = writeData(state);
  if (previous !== undefined) {
    // With its resourceVersion this is a compare-and-swap.
    await client.replace<Secret>(`${collection}/${secretName}`, { ...previous, data });
    return;
  }
  const metadata = { name: secretName, namespace, labels: { [ownerLabel]: owner } };
  try {
    await client.create<Secret>(collection, { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data });
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 403)) throw error;
    // RBAC cannot allow the creation of one name only. So the deployment includes the Secret, and no permission to create Secrets.
    throw new ConfigurationError(
      `Secret ${namespace}/${secretName} does not exist, and regkeeper is not allowed to create it. Apply the deployment again to create it, ` +
        `or run: kubectl create secret generic ${secretName} -n ${namespace} && ` +
        `kubectl label secret ${secretName} -n ${namespace} ${ownerLabel}=${owner} (${error.message})`,
    );
  }
}

/** 409: the Secret changed, or already exists. 404: it was deleted after it was read. */
function isLostRace(error: unknown, previous: Secret | undefined): boolean {
  return (error instanceof ApiError && error.status === 409) || (isNotFound(error) && previous !== undefined);
}

/** The usable contents of a Secret. */
type Kept = {
  /** The CA that signs server certificates. */
  readonly ca?: CertificateWithKey | undefined;
  /** The CA that will sign them once clients have had time to trust it. */
  readonly next?: CertificateWithKey | undefined;
  /** Every CA that clients should trust, as one PEM certificate each. */
  readonly trusted: readonly string[];
  readonly leaf?: CertificateWithKey | undefined;
  /** Damage that only a manual change can cause. Each problem names the key. None for an empty Secret. */
  readonly problems: readonly string[];
};

type Renewed = Omit<Kept, 'problems'> & { readonly ca: CertificateWithKey; readonly leaf: CertificateWithKey };

const keys = { leaf: 'tls.crt', leafKey: 'tls.key', trusted: 'ca.crt', caKey: 'ca.key', nextKey: 'next-ca.key' };

function readData(data: Readonly<Record<string, string>>): Kept {
  const texts = new Map(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]));
  const requiredKeys = [keys.leaf, keys.leafKey, keys.trusted, keys.caKey];
  if (requiredKeys.every((key) => !texts.has(key))) return { trusted: [], problems: [] };

  const missing = requiredKeys.filter((key) => !texts.has(key));
  const problems = missing.map((key) => `the key ${key} is missing`);
  const text = (key: string) => texts.get(key) ?? '';
  const bundle = readCertificates(text(keys.trusted));
  if (!bundle.ok && texts.has(keys.trusted)) problems.push(`${keys.trusted} ${bundle.problem}`);
  const certificates = bundle.ok ? bundle.certificates : [];

  const caFor = (key: string) => {
    if (!texts.has(key) || !bundle.ok) return undefined;
    const privateKey = readPrivateKey(text(key));
    if (!privateKey.ok) return void problems.push(`${key} ${privateKey.problem}`);
    const certificate = certificates.find((each) => each.ca && each.checkPrivateKey(privateKey.key));
    if (!certificate) return void problems.push(`no CA in ${keys.trusted} matches ${key}`);
    return { certificate: certificate.toString(), key: text(key) };
  };
  const leafWithKey = () => {
    if (!texts.has(keys.leaf) || !texts.has(keys.leafKey)) return undefined;
    const pair = { certificate: text(keys.leaf), key: text(keys.leafKey) };
    const reading = readCertificatePair(pair, { certificate: keys.leaf, key: keys.leafKey });
    return reading.ok ? pair : void problems.push(reading.problem);
  };
  return {
    ca: caFor(keys.caKey),
    next: caFor(keys.nextKey),
    trusted: certificates.map(String),
    leaf: leafWithKey(),
    problems,
  };
}

function writeData({ ca, next, trusted, leaf }: Renewed): Record<string, string> {
  const texts = {
    [keys.leaf]: leaf.certificate,
    [keys.leafKey]: leaf.key,
    [keys.trusted]: trusted.join(''),
    [keys.caKey]: ca.key,
    ...(next && { [keys.nextKey]: next.key }),
  };
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')]));
}

type DesiredState = { readonly dnsNames: readonly string[]; readonly now: Date; readonly schedule: RenewalSchedule };

/** The desired contents of the Secret at `now`, and the reasons for each change. Without reasons nothing changes. */
function renew(kept: Kept, { dnsNames, now, schedule }: DesiredState): { state: Renewed; reasons: string[] } {
  const reasons: string[] = [];
  const because = <T>(reason: string, value: T): T => {
    reasons.push(reason);
    return value;
  };
  let { ca, next } = kept;

  if (next && now.getTime() >= publishedAt(next) + schedule.trustPeriod) {
    ca = because('the next CA has been published for long enough', next);
    next = undefined;
  }
  if (!ca || !isValid(ca, now)) {
    ca = because(ca ? 'the CA was not valid' : 'there was no CA', newCa(now));
    next = undefined;
  }
  const caRenewal = checkRenewal(datesOf(ca), now, [], schedule.share);
  if (caRenewal.renew && !next) next = because(`the CA must be replaced because ${caRenewal.reason}`, newCa(now));

  const leafRenewalReason = explainLeafRenewal(kept.leaf, { ca, dnsNames, now, schedule });
  const leaf = kept.leaf && leafRenewalReason === undefined ? kept.leaf : newLeaf({ ca, dnsNames, now });
  if (leafRenewalReason !== undefined) reasons.push(leafRenewalReason);

  // Servers that have not yet seen the change still serve a certificate of the previous CA.
  const previous = kept.trusted.filter((each) => new X509Certificate(each).validToDate > now);
  const trusted = [...new Set([ca, next].flatMap((each) => (each ? [normalized(each.certificate)] : [])).concat(previous))];
  return { state: { ca, next, trusted: trusted.slice(0, maxCas), leaf }, reasons };
}

function explainLeafRenewal(leaf: CertificateWithKey | undefined, desired: LeafRequest & DesiredState): string | undefined {
  if (!leaf) return 'there was no server certificate';
  if (!isIssuedBy(leaf.certificate, desired.ca.certificate)) return 'the server certificate was issued by a different CA';
  const renewal = checkRenewal(datesOf(leaf), desired.now, desired.dnsNames, desired.schedule.share);
  return renewal.renew ? `the server certificate was replaced because ${renewal.reason}` : undefined;
}

function newCa(now: Date): CertificateWithKey {
  // The time in the name distinguishes CAs for a person who inspects the bundle.
  return issueCa({
    commonName: `regkeeper CA of ${now.toISOString().slice(0, 19)}Z`,
    ...validityFrom(now, caLifetime),
  });
}

type LeafRequest = { readonly ca: CertificateWithKey; readonly dnsNames: readonly string[]; readonly now: Date };

function newLeaf({ ca, dnsNames, now }: LeafRequest): CertificateWithKey {
  return issueServerCertificate({ ca, commonName: 'regkeeper', dnsNames, ipAddresses: [], ...validityFrom(now, leafLifetime) });
}

/** Epoch milliseconds. */
function publishedAt({ certificate }: CertificateWithKey): number {
  return new X509Certificate(certificate).validFromDate.getTime() + clockToleranceMilliseconds;
}

function isValid({ certificate }: CertificateWithKey, now: Date): boolean {
  const { validFromDate, validToDate } = new X509Certificate(certificate);
  return validFromDate <= now && now < validToDate;
}

/** The pair with its dates. It has been validated before. */
function datesOf(pair: CertificateWithKey) {
  const reading = readCertificatePair(pair);
  if (!reading.ok) throw new Error(reading.problem);
  return reading.pair;
}

/** The same certificate always as the same text, independent of line breaks. */
function normalized(certificate: string): string {
  return new X509Certificate(certificate).toString();
}

function certificateOf({ leaf, trusted }: Renewed): ServerCertificate {
  return { ...leaf, caBundle: trusted.join(''), notAfter: new X509Certificate(leaf.certificate).validToDate };
}
