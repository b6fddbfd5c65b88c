import { X509Certificate } from 'node:crypto';
import { type ApiClient, ApiError, type KubeObject, type Log } from '../../kube/api-client.ts';
import { describeRequiredRole, errorMessage } from '../../kube/explain-api-error.ts';
import { createInformer, type InformerTimings } from '../../kube/informer.ts';
import type { Leadership } from '../../kube/leader-election.ts';
import { createReconcileLoop } from '../../kube/reconcile-loop.ts';
import { retryUntilReachable } from '../../kube/retry-until-reachable.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import { checkRenewal, isIssuedBy, readCertificatePair, readCertificates, readPrivateKey } from '../inspect.ts';
import { type CertificateWithKey, issueCa, issueServerCertificate } from '../issue.ts';
import { type CertificateSource, createCertificateSource, type ServerCertificate } from '../source.ts';

export type SecretCertificateOptions = {
  readonly client: ApiClient;
  /** Of the Secret and of the Service. */
  readonly namespace: string;
  readonly secretName: string;
  /** The Service by which the API server calls; the certificate is made out for its names. */
  readonly service: string;
  /** Who leads renews in time, any other when it is overdue. Without it any replica renews in time. */
  readonly leadership?: Leadership | undefined;
  readonly log: Log;
  /** Gives up the wait for a first certificate. */
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
  readonly watchTimings?: Partial<InformerTimings> | undefined;
};

/**
 * An authority and a server certificate of our own, kept in a Secret that all replicas share, and renewed in time by the leader. What cannot
 * be served and what is overdue any replica renews: without a certificate none is ready, and then none leads. Whoever writes first wins by
 * the resourceVersion, the others take what they find. `current().authorities` is what clients shall trust, the coming authority included.
 * Resolves when there is a certificate to serve.
 * @throws ConfigurationError when the Secret is not ours, or is missing and may not be created; ApiError
 */
export async function manageCertificateSecret(options: SecretCertificateOptions): Promise<CertificateSource> {
  const { client, namespace, secretName, log, signal } = options;
  const place = `Secret ${namespace}/${secretName}`;
  const clocks = comparingClocks(options);
  const patience = { log, server: client.server, right: neededRight(options), clock: options.clock, signal };
  const holder = createCertificateSource(await retryUntilReachable(patience, () => settle(options, clocks)));
  signal?.throwIfAborted();

  const look = async () => {
    const settled = await settle(options, clocks);
    const held = holder.current();
    if (settled.certificate === held.certificate && settled.authorities === held.authorities) return;
    log.info({ secret: place, notAfter: settled.notAfter }, `the certificate of ${place} was taken over`);
    holder.replace(settled);
  };
  // One after the other: of two at a time, the one that read first could come last.
  let looking: Promise<void> = Promise.resolve();
  const refresh = () => {
    looking = looking.then(look, look);
    return looking;
  };

  const checks = createReconcileLoop({
    check: refresh,
    onFailure: (err) => log.error({ err, secret: place }, `${errorMessage(err)}; the certificate in service stays, and is tried again`),
    everyMilliseconds: 10 * MINUTE,
    apartMilliseconds: 1_000,
    clock: options.clock,
  });
  // Only a sign that something changed: the key itself is read where it is needed, and held nowhere else.
  const watch = createInformer({
    client,
    path: `/api/v1/namespaces/${namespace}/secrets`,
    fieldSelector: `metadata.name=${secretName}`,
    metadataOnly: true,
    log,
    onChange: checks.soon,
    clock: options.clock,
    timings: options.watchTimings,
  });
  const forgetLeadership = options.leadership?.onChange(checks.soon);
  checks.start();
  watch.start();

  return {
    current: holder.current,
    onChange: holder.onChange,
    refresh,
    async close() {
      forgetLeadership?.();
      checks.stop();
      holder.close();
      await watch.stop();
    },
  };
}

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const AUTHORITY_LIFE = 2 * 365 * DAY;
/** Far below the third of its life that an authority has left when it is renewed: a leaf is never cut short. */
const LEAF_LIFE = 90 * DAY;
/** Certificates begin this much in the past, for API servers whose clock lags behind ours. */
const CLOCK_TOLERANCE = 60 * MINUTE;
/** When something is renewed. */
type Pace = {
  /** The share of its life after which a certificate is. */
  readonly share: number;
  /** How long clients get to trust a new authority before a server shows its certificates. There is no hurry: it has months to go. */
  readonly notice: number;
};
const IN_TIME: Pace = { share: 2 / 3, notice: DAY };
/** Of a server certificate, half a month after it was due, and half a month before its end. */
const OVERDUE: Pace = { share: 5 / 6, notice: 2 * DAY };
/** The newest. In good order there are two or three; a hand that takes the key away again and again must not fill the Secret. */
const MOST_AUTHORITIES = 10;

// Not app.kubernetes.io/managed-by: Helm writes its own name there, into whatever it installs.
const OWNER_LABEL = 'regkeeper.io/certificate';
const OWNER = 'self';

type Secret = KubeObject & { type?: string; data?: Record<string, string> | null };

/** What time it is by our clock, and by that of the API server, which verifies. */
type Clocks = { readonly ours: Date; readonly servers: Date };

/** Tells once when the two are so far apart that a certificate made by one may be no good by the other. */
function comparingClocks({ client, log, clock = systemClock }: SecretCertificateOptions): () => Clocks {
  let apart = false;
  return () => {
    const ours = new Date(clock.now());
    const servers = new Date(client.serverTime() ?? ours);
    const ahead = ours.getTime() - servers.getTime();
    const wereApart = apart;
    apart = Math.abs(ahead) >= CLOCK_TOLERANCE;
    if (apart && !wereApart)
      log.warn(
        { ours, servers },
        `this machine's clock is ${Math.round(Math.abs(ahead) / MINUTE)} minutes ${ahead > 0 ? 'ahead of' : 'behind'} the API server's: ` +
          'certificates are renewed only when both clocks call for it; set the clocks right',
      );
    if (!apart && wereApart) log.info({}, "this machine's clock agrees with the API server's again");
    return { ours, servers };
  };
}

/** Reads the Secret, renews in it what must be renewed, and returns what to serve. */
async function settle(options: SecretCertificateOptions, clocks: () => Clocks): Promise<ServerCertificate> {
  const { log, namespace, secretName } = options;
  const place = `Secret ${namespace}/${secretName}`;
  // Each round that is lost was won by another replica, whose work makes the next round a mere reading.
  for (let round = 1; ; round += 1) {
    const secret = await readSecret(options);
    if (secret !== undefined) refuseForeign(secret, place);
    const kept = readData(secret?.data ?? {});
    // A machine whose clock went astray must not throw away what all others serve, nor may one astray API server of several make us.
    const { ours, servers } = clocks();
    const wish = { dnsNames: dnsNamesOf(options), pace: (options.leadership?.leads() ?? true) ? IN_TIME : OVERDUE };
    const renewal = renew(kept, { ...wish, now: servers });
    if (renewal.reasons.length === 0) return certificateOf(renewal.state);
    const byOurClock = ours.getTime() === servers.getTime() ? renewal : renew(kept, { ...wish, now: ours });
    if (byOurClock.reasons.length === 0) return certificateOf(byOurClock.state);
    for (const problem of kept.problems) log.warn({ secret: place }, `${place} is damaged: ${problem}; what is missing is made anew`);
    try {
      await writeSecret(options, secret, renewal.state);
      log.info({ secret: place }, `renewed ${place}: ${renewal.reasons.join('; ')}`);
      return certificateOf(renewal.state);
    } catch (error) {
      if (!lostRace(error, secret) || round >= 5) throw error;
      log.debug({ secret: place, err: error }, `another replica changed ${place} first`);
    }
  }
}

/** The names by which a Service is called inside a cluster; the API server uses the first. */
function dnsNamesOf({ service, namespace }: SecretCertificateOptions): string[] {
  return [`${service}.${namespace}.svc`, `${service}.${namespace}.svc.cluster.local`, `${service}.${namespace}`, service];
}

/** A Secret of another name is not allowed either. */
function neededRight({ namespace, secretName }: SecretCertificateOptions): string {
  const path = `/api/v1/namespaces/${namespace}/secrets`;
  const role = describeRequiredRole({ path, name: secretName, verbs: ['get', 'list', 'watch', 'update'] });
  return `${role}; or correct --service and --namespace, by which the Secret is named`;
}

async function readSecret({ client, namespace, secretName }: SecretCertificateOptions): Promise<Secret | undefined> {
  try {
    return await client.get<Secret>(`/api/v1/namespaces/${namespace}/secrets/${secretName}`);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

function refuseForeign({ metadata }: Secret, place: string): void {
  if (metadata.labels?.[OWNER_LABEL] === OWNER) return;
  throw new ConfigurationError(
    `${place} is not regkeeper's own: it has no label ${OWNER_LABEL}=${OWNER}, so nothing in it is touched; ` +
      'choose another name for the Secret, or add the label if its contents may be replaced',
  );
}

async function writeSecret(options: SecretCertificateOptions, before: Secret | undefined, state: Renewed): Promise<void> {
  const { client, namespace, secretName } = options;
  const collection = `/api/v1/namespaces/${namespace}/secrets`;
  const data = writeData(state);
  if (before !== undefined) {
    // The resourceVersion that came with it makes this a compare-and-swap.
    await client.replace<Secret>(`${collection}/${secretName}`, { ...before, data });
    return;
  }
  const metadata = { name: secretName, namespace, labels: { [OWNER_LABEL]: OWNER } };
  try {
    await client.create<Secret>(collection, { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data });
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 403)) throw error;
    // RBAC cannot allow the creation of one name only, so the deployment ships the Secret, and no right to create Secrets.
    throw new ConfigurationError(
      `Secret ${namespace}/${secretName} does not exist and may not be created by regkeeper: apply the deployment again, which holds it, ` +
        `or run: kubectl create secret generic ${secretName} -n ${namespace} && ` +
        `kubectl label secret ${secretName} -n ${namespace} ${OWNER_LABEL}=${OWNER} (${error.message})`,
    );
  }
}

/** 409: it changed, or it is there by now; 404: it was deleted after it had been read. */
function lostRace(error: unknown, before: Secret | undefined): boolean {
  return error instanceof ApiError && (error.status === 409 || (error.status === 404 && before !== undefined));
}

/** What a Secret holds, as far as it can be used. */
type Kept = {
  /** Signs server certificates. */
  readonly authority?: CertificateWithKey | undefined;
  /** Signs them when clients have had time to trust it. */
  readonly next?: CertificateWithKey | undefined;
  /** Every authority that clients shall trust, one PEM certificate each. */
  readonly trusted: readonly string[];
  readonly leaf?: CertificateWithKey | undefined;
  /** What a hand other than ours must have done; each names the key. Empty for an empty Secret. */
  readonly problems: readonly string[];
};

type Renewed = Omit<Kept, 'problems'> & { readonly authority: CertificateWithKey; readonly leaf: CertificateWithKey };

const KEYS = { leaf: 'tls.crt', leafKey: 'tls.key', trusted: 'ca.crt', authorityKey: 'ca.key', nextKey: 'next-ca.key' };

function readData(data: Readonly<Record<string, string>>): Kept {
  const texts = new Map(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]));
  const wanted = [KEYS.leaf, KEYS.leafKey, KEYS.trusted, KEYS.authorityKey];
  if (wanted.every((key) => !texts.has(key))) return { trusted: [], problems: [] };

  const missing = wanted.filter((key) => !texts.has(key));
  const problems = missing.map((key) => `the key ${key} is missing`);
  const text = (key: string) => texts.get(key) ?? '';
  const bundle = readCertificates(text(KEYS.trusted));
  if (!bundle.ok && texts.has(KEYS.trusted)) problems.push(`${KEYS.trusted} ${bundle.problem}`);
  const certificates = bundle.ok ? bundle.certificates : [];

  const authorityFor = (key: string) => {
    if (!texts.has(key) || !bundle.ok) return undefined;
    const privateKey = readPrivateKey(text(key));
    if (!privateKey.ok) return void problems.push(`${key} ${privateKey.problem}`);
    const certificate = certificates.find((each) => each.ca && each.checkPrivateKey(privateKey.key));
    if (!certificate) return void problems.push(`no authority of ${KEYS.trusted} belongs to ${key}`);
    return { certificate: certificate.toString(), key: text(key) };
  };
  const leafWithKey = () => {
    if (!texts.has(KEYS.leaf) || !texts.has(KEYS.leafKey)) return undefined;
    const pair = { certificate: text(KEYS.leaf), key: text(KEYS.leafKey) };
    const reading = readCertificatePair(pair, { certificate: KEYS.leaf, key: KEYS.leafKey });
    return reading.ok ? pair : void problems.push(reading.problem);
  };
  return {
    authority: authorityFor(KEYS.authorityKey),
    next: authorityFor(KEYS.nextKey),
    trusted: certificates.map(String),
    leaf: leafWithKey(),
    problems,
  };
}

function writeData({ authority, next, trusted, leaf }: Renewed): Record<string, string> {
  const texts = {
    [KEYS.leaf]: leaf.certificate,
    [KEYS.leafKey]: leaf.key,
    [KEYS.trusted]: trusted.join(''),
    [KEYS.authorityKey]: authority.key,
    ...(next && { [KEYS.nextKey]: next.key }),
  };
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')]));
}

type Wish = { readonly dnsNames: readonly string[]; readonly now: Date; readonly pace: Pace };

/** What the Secret should hold at `now`, and why that differs from what it holds; no reasons, no difference. */
function renew(kept: Kept, { dnsNames, now, pace }: Wish): { state: Renewed; reasons: string[] } {
  const reasons: string[] = [];
  const because = <T>(reason: string, value: T): T => {
    reasons.push(reason);
    return value;
  };
  let { authority, next } = kept;

  if (next && now.getTime() >= publishedAt(next) + pace.notice) {
    authority = because('the next authority has been known long enough and takes over', next);
    next = undefined;
  }
  if (!authority || !isValid(authority, now)) {
    authority = because(authority ? 'the authority is not valid any more, or not yet' : 'there was no authority', newAuthority(now));
    next = undefined;
  }
  const ageing = checkRenewal(datesOf(authority), now, [], pace.share);
  if (ageing.renew && !next) next = because(`the authority gets a successor: ${ageing.reason}`, newAuthority(now));

  const complaint = complaintAbout(kept.leaf, { authority, dnsNames, now, pace });
  const leaf = kept.leaf && complaint === undefined ? kept.leaf : newLeaf({ authority, dnsNames, now });
  if (complaint !== undefined) reasons.push(`the server certificate is new: ${complaint}`);

  // Servers that have not yet seen the change still show a certificate of the authority before.
  const before = kept.trusted.filter((each) => new X509Certificate(each).validToDate > now);
  const trusted = [...new Set([authority, next].flatMap((each) => (each ? [normalized(each.certificate)] : [])).concat(before))];
  return { state: { authority, next, trusted: trusted.slice(0, MOST_AUTHORITIES), leaf }, reasons };
}

function complaintAbout(leaf: CertificateWithKey | undefined, wish: LeafWish & Wish): string | undefined {
  if (!leaf) return 'there was none';
  if (!isIssuedBy(leaf.certificate, wish.authority.certificate)) return 'the authority is another one';
  const renewal = checkRenewal(datesOf(leaf), wish.now, wish.dnsNames, wish.pace.share);
  return renewal.renew ? renewal.reason : undefined;
}

function newAuthority(now: Date): CertificateWithKey {
  // The time tells two authorities apart for a person who looks at the bundle.
  return issueCa({
    commonName: `regkeeper authority of ${now.toISOString().slice(0, 19)}Z`,
    ...lifeFrom(now, AUTHORITY_LIFE),
  });
}

type LeafWish = { readonly authority: CertificateWithKey; readonly dnsNames: readonly string[]; readonly now: Date };

function newLeaf({ authority, dnsNames, now }: LeafWish): CertificateWithKey {
  return issueServerCertificate({ authority, commonName: 'regkeeper', dnsNames, ipAddresses: [], ...lifeFrom(now, LEAF_LIFE) });
}

function lifeFrom(now: Date, life: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(now.getTime() - CLOCK_TOLERANCE), notAfter: new Date(now.getTime() + life) };
}

/** Epoch milliseconds. */
function publishedAt({ certificate }: CertificateWithKey): number {
  return new X509Certificate(certificate).validFromDate.getTime() + CLOCK_TOLERANCE;
}

function isValid({ certificate }: CertificateWithKey, now: Date): boolean {
  const { validFromDate, validToDate } = new X509Certificate(certificate);
  return validFromDate <= now && now < validToDate;
}

/** The pair with its dates; it has been read before, so it is sound. */
function datesOf(pair: CertificateWithKey) {
  const reading = readCertificatePair(pair);
  if (!reading.ok) throw new Error(reading.problem);
  return reading.pair;
}

/** The same certificate always as the same text, however it was wrapped. */
function normalized(certificate: string): string {
  return new X509Certificate(certificate).toString();
}

function certificateOf({ leaf, trusted }: Renewed): ServerCertificate {
  return { ...leaf, authorities: trusted.join(''), notAfter: new X509Certificate(leaf.certificate).validToDate };
}
