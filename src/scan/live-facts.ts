/** What the engine needs to know about the cluster, read once: labels, pull secrets of accounts, image streams, and which secrets exist. */
import { registrySecretTypes } from '../credentials/registry-secret.ts';
import type { DeliveryFacts, Facts, ImageStreamFacts, SecretFacts, ServiceAccountFacts } from '../decision/facts.ts';
import { readServiceAccountFacts } from '../decision/read-account-facts.ts';
import { readImageStreamFacts } from '../decision/read-stream-facts.ts';
import { deliveryLease } from '../delivery/names.ts';
import { type ApiClient, isNotFound, type KubeObject, type Query } from '../kube/api-client.ts';
import { durationOf, holderOf, type Lease } from '../kube/lease.ts';
import { keyOf } from '../kube/object-identity.ts';
import { partialMetadata } from '../kube/partial-metadata.ts';
import type { JsonObject } from '../object/json.ts';
import type { Kinds } from '../object/kinds.ts';
import { describeNotRead, type NotRead } from './not-read.ts';

export type LiveFactsOptions = {
  readonly client: ApiClient;
  /** All by default. */
  readonly namespace?: string | undefined;
  /** Secrets that the rules name. */
  readonly secretNames: readonly string[];
  /** The namespace of regkeeper, if the rules have secrets with delivery. */
  readonly deliveredFrom?: string | undefined;
  readonly kinds: Kinds;
  /** Milliseconds since 1970. */
  readonly now: number;
};

export type LiveFacts = {
  readonly facts: Facts;
  /** Undefined if they could not be read. */
  labelsOf(namespace: string): Labels | undefined;
  /** The names of all that were read. */
  namespaces(): readonly string[];
  /** What could not be read. Each object whose outcome depends on it is uncertain, so the rest stays valid. One sentence each. */
  readonly gaps: readonly string[];
  /** What could not be read, and can change an outcome without making it uncertain. */
  readonly notRead: readonly NotRead[];
};

type Labels = Readonly<Record<string, string>>;

export async function readLiveFacts(options: LiveFactsOptions): Promise<LiveFacts> {
  const { client, namespace, secretNames, deliveredFrom, kinds, now } = options;
  const gaps: string[] = [];
  const notRead: NotRead[] = [];
  const reader = createReader(client, namespace);
  const reportLabels = reportAs(gaps, 'cannot read the labels of namespaces');
  const namespaces = await reader.namespaces().catch((error: unknown) => {
    // A namespace that does not exist contains nothing, and that result would hide a typing error.
    if (isNotFound(error)) throw error;
    return reportLabels(error);
  });
  const accounts = await reader.accounts().catch(reportAs(gaps, 'cannot read service accounts, so their pull secrets are not shown'));
  const secrets = await reader.secrets(secretNames).catch(reportAs(gaps, 'cannot read secrets, so missing ones are not reported'));
  const delivery = await readDelivery(client, deliveredFrom).catch(reportAs(gaps, 'cannot determine whether secrets are delivered'));
  const streams = await reader.streams().catch((error: unknown) => {
    notRead.push(
      describeNotRead(error, { resource: 'imagestreams.image.openshift.io', namespace, path: streamsPath(namespace), verb: 'list' }),
    );
    return undefined;
  });

  const isRead = (place: string) => namespace === undefined || place === namespace;
  const facts: Facts = {
    namespace(name) {
      const labels = namespaces?.get(name);
      return labels ? { kind: 'known', labels } : { kind: 'unknown' };
    },
    serviceAccount(place, name) {
      if (!accounts || !isRead(place)) return { kind: 'unknown' };
      // The API server would reject a Pod of a deleted account. Its images are evaluated all the same.
      return accounts.get(`${place}/${name}`) ?? { kind: 'known', pullSecrets: [], onlyListedSecrets: false };
    },
    secret: (place, name) => (secrets && isRead(place) ? secrets(place, name) : 'unknown'),
    imageStream(place, name) {
      if (!streams?.served || !isRead(place)) return { kind: 'unknown' };
      return streams.facts.get(`${place}/${name}`) ?? { kind: 'absent' };
    },
    imageStreamsServed: () => streams?.served ?? true,
    delivery: () => delivery ?? { kind: 'unknown' },
    now: () => now,
    kinds,
  };
  return { facts, labelsOf: (name) => namespaces?.get(name), namespaces: () => [...(namespaces?.keys() ?? [])], gaps, notRead };
}

/** For `catch`: adds a sentence, unless nothing else can be read either. */
function reportAs(gaps: string[], failure: string): (error: unknown) => undefined {
  return (error) => {
    const { message } = describeNotRead(error, { resource: '', namespace: undefined, path: '', verb: 'list' });
    gaps.push(`${failure}: ${message}`);
    return undefined;
  };
}

function createReader(client: ApiClient, namespace: string | undefined) {
  const pathIn = (resource: string) => `/api/v1${namespace === undefined ? '' : `/namespaces/${namespace}`}/${resource}`;

  async function keep<Kept>(path: string, query: Query, read: (object: KubeObject) => Kept, accept?: string): Promise<Map<string, Kept>> {
    let kept = new Map<string, Kept>();
    await client.list<KubeObject>(path, query, {
      accept,
      onBegin: () => {
        kept = new Map();
      },
      keep: (object) => void kept.set(keyOf(object), read(object)),
    });
    return kept;
  }

  return {
    async namespaces(): Promise<Map<string, Labels>> {
      if (namespace !== undefined) {
        const { metadata } = await client.get<KubeObject>(`/api/v1/namespaces/${namespace}`);
        return new Map([[namespace, metadata.labels ?? {}]]);
      }
      const accept = partialMetadata('PartialObjectMetadataList');
      const labels = await keep('/api/v1/namespaces', {}, ({ metadata }) => metadata.labels ?? {}, accept);
      return new Map([...labels].map(([key, value]) => [key.slice(1), value]));
    },
    accounts(): Promise<Map<string, ServiceAccountFacts>> {
      return keep(pathIn('serviceaccounts'), {}, (account) => readServiceAccountFacts(account as unknown as JsonObject));
    },
    async streams(): Promise<{ readonly served: boolean; readonly facts: Map<string, ImageStreamFacts> }> {
      if (!(await client.hasResource('image.openshift.io/v1', 'imagestreams'))) return { served: false, facts: new Map() };
      return {
        served: true,
        facts: await keep(streamsPath(namespace), {}, (stream) => readImageStreamFacts(stream as unknown as JsonObject)),
      };
    },
    /** Only names are kept. The type of a secret is not metadata, so a field selector is used for it. */
    async secrets(names: readonly string[]): Promise<(namespace: string, name: string) => SecretFacts> {
      const accept = partialMetadata('PartialObjectMetadataList');
      const [all, unusable] = [new Set<string>(), new Set<string>()];
      const read = names.slice(0, mostSecretNames);
      for (const name of read) {
        const otherTypes = registrySecretTypes.map((type) => `type!=${type}`).join(',');
        for (const [found, fieldSelector] of [
          [all, `metadata.name=${name}`],
          [unusable, `metadata.name=${name},${otherTypes}`],
        ] as const) {
          for (const key of (await keep(pathIn('secrets'), { fieldSelector }, () => true, accept)).keys()) found.add(key);
        }
      }
      const known = new Set(read);
      return (place, name) => {
        if (!known.has(name)) return 'unknown';
        if (!all.has(`${place}/${name}`)) return 'absent';
        return unusable.has(`${place}/${name}`) ? 'wrong-type' : 'present';
      };
    },
  };
}

/** The Lease is renewed only while secrets can be delivered. */
async function readDelivery(client: ApiClient, namespace: string | undefined): Promise<DeliveryFacts> {
  if (namespace === undefined) return { kind: 'unknown' };
  try {
    const lease = await client.get<Lease>(`/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${deliveryLease}`);
    const renewed = Date.parse(lease.spec?.renewTime ?? '');
    if (Number.isNaN(renewed)) return { kind: 'stopped' };
    // By the clock of the API server, since that of the caller may differ.
    const isFresh = holderOf(lease) !== '' && (client.serverTime() ?? Date.now()) - renewed <= durationOf(lease);
    return isFresh ? { kind: 'running' } : { kind: 'stopped', since: renewed };
  } catch (error) {
    if (isNotFound(error)) return { kind: 'stopped' };
    throw error;
  }
}

/** The most names whose secrets are requested, as in the server. Each needs two requests. */
const mostSecretNames = 250;

function streamsPath(namespace: string | undefined): string {
  return `/apis/image.openshift.io/v1${namespace === undefined ? '' : `/namespaces/${namespace}`}/imagestreams`;
}
