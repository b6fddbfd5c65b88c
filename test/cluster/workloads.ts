/** Objects that scenarios create, and kubectl for one namespace. */

import type { Kubectl, KubectlResult } from './kubectl.ts';

export type Acting = {
  /** Runs kubectl in the namespace. @throws Error where it fails */
  (...args: readonly string[]): Promise<KubectlResult>;
  /** Runs kubectl and returns its result, also where it fails. */
  attempt(args: readonly string[], object?: object): Promise<KubectlResult>;
  /** Creates one or more objects and returns them as they were stored, in the same order. */
  create<Stored = PodLike>(...objects: readonly object[]): Promise<Stored[]>;
  /** Tries to create an object and returns kubectl's result. */
  tryCreate(object: object, ...flags: readonly string[]): Promise<KubectlResult>;
  get<Stored = PodLike>(...what: readonly string[]): Promise<Stored>;
  list<Stored = PodLike>(...what: readonly string[]): Promise<Stored[]>;
};

/** `namespace` is called each time, because a file's namespace is only created before its tests, after its top level has run. */
export function actingIn(kubectl: Kubectl, namespace: () => string): Acting {
  const inNamespace = (args: readonly string[]) => [...args, '-n', namespace()];
  const attempt: Acting['attempt'] = (args, object) =>
    kubectl(inNamespace(args), { allowFailure: true, ...(object && { stdin: JSON.stringify(object) }) });
  return Object.assign((...args: readonly string[]) => kubectl(inNamespace(args)), {
    attempt,
    // Without kubectl, whose process costs more than the requests.
    create: async <Stored>(...objects: readonly object[]) => {
      const api = await kubectl.api();
      const stored: Stored[] = [];
      for (const each of objects as readonly PodLike[]) {
        const body: object = await api.create(collectionPath(each, namespace()), each, { fieldValidation: 'Strict' });
        stored.push(body as Stored);
      }
      return stored;
    },
    tryCreate: (object: object, ...flags: readonly string[]) => attempt(['create', '-f', '-', ...flags], object),
    get: <Stored>(...what: readonly string[]) => kubectl.json<Stored>(inNamespace(['get', ...what])),
    list: async <Stored>(...what: readonly string[]) => (await kubectl.json<{ items: Stored[] }>(inNamespace(['get', ...what]))).items,
  });
}

export type PodLike = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly generation?: number;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly imagePullSecrets?: readonly { readonly name?: string }[]; readonly [field: string]: unknown };
};
export type PodTemplate = Pick<PodLike, 'metadata' | 'spec'>;
export type Workload = Pick<PodLike, 'metadata'> & { readonly spec: { readonly replicas?: number; readonly template: PodTemplate } };

/** Path of the collection with the objects of this kind in a namespace. */
export function collectionPath({ apiVersion, kind }: Pick<PodLike, 'apiVersion' | 'kind'>, namespace: string): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${root}/namespaces/${namespace}/${kind.toLowerCase()}s`;
}

export function listOf(items: readonly object[]): object {
  return { apiVersion: 'v1', kind: 'List', items };
}

export function pod(name: string, spec: object, metadata: object = {}) {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, ...metadata }, spec };
}

/** A spec with one container, `app`. */
export function running(image: string, more: object = {}) {
  return { containers: [{ name: 'app', image }], ...more };
}

export function deployment(name: string, spec: object, more: object = {}) {
  return workload('apps/v1', 'Deployment', name, spec, more);
}

/** A workload with a selector and a template in the usual fields. Its Pods have the label `app: NAME`. */
export function workload(apiVersion: string, kind: string, name: string, spec: object, more: object = {}) {
  const labels = { app: name };
  return {
    apiVersion,
    kind,
    metadata: { name },
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec }, ...more },
  };
}

export function serviceAccount(name: string, secrets: readonly string[], annotations: Readonly<Record<string, string>> = {}) {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name, annotations },
    imagePullSecrets: secrets.map((secret) => ({ name: secret })),
  };
}

export function secretsIn({ spec }: PodTemplate): string[] {
  return (spec.imagePullSecrets ?? []).map(({ name = '' }) => name);
}

export function markIn({ metadata }: { metadata?: { annotations?: Readonly<Record<string, string>> } }): unknown {
  const text = metadata?.annotations?.['regkeeper.io/injected'];
  return text === undefined ? undefined : JSON.parse(text);
}
