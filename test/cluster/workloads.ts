/** Objects that scenarios create, and kubectl in the namespace where they do it. */

import type { Kubectl, KubectlResult } from './kubectl.ts';

export type Acting = {
  /** kubectl in the namespace; throws when it fails. */
  (...args: readonly string[]): Promise<KubectlResult>;
  /** The same, whatever comes of it. */
  attempt(args: readonly string[], object?: object): Promise<KubectlResult>;
  /** Creates one object, or several, and returns them as they were stored, in their order. */
  create<Stored = PodLike>(...objects: readonly object[]): Promise<Stored[]>;
  /** Tries to create one, and returns what kubectl says. */
  tryCreate(object: object, ...flags: readonly string[]): Promise<KubectlResult>;
  get<Stored = PodLike>(...what: readonly string[]): Promise<Stored>;
  list<Stored = PodLike>(...what: readonly string[]): Promise<Stored[]>;
};

/** The namespace is asked for at each call: it is made before the tests of a file, after its first lines. */
export function actingIn(kubectl: Kubectl, namespace: () => string): Acting {
  const there = (args: readonly string[]) => [...args, '-n', namespace()];
  const attempt: Acting['attempt'] = (args, object) =>
    kubectl(there(args), { allowFailure: true, ...(object && { stdin: JSON.stringify(object) }) });
  return Object.assign((...args: readonly string[]) => kubectl(there(args)), {
    attempt,
    create: async <Stored>(...objects: readonly object[]) => {
      const { stdout } = await kubectl(there(['create', '-o', 'json', '-f', '-']), { stdin: JSON.stringify(listOf(objects)) });
      return documentsIn(stdout) as Stored[];
    },
    tryCreate: (object: object, ...flags: readonly string[]) => attempt(['create', '-f', '-', ...flags], object),
    get: <Stored>(...what: readonly string[]) => kubectl.json<Stored>(there(['get', ...what])),
    list: async <Stored>(...what: readonly string[]) => (await kubectl.json<{ items: Stored[] }>(there(['get', ...what]))).items,
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

/** `create` prints one JSON document after the other, each beginning and ending at the left edge. */
function documentsIn(stdout: string): unknown[] {
  return stdout
    .split(/(?<=^\})\n(?=\{)/m)
    .filter((text) => text.trim() !== '')
    .map((text) => JSON.parse(text));
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

/** A workload with a selector and a template in the usual places, its Pods labelled `app: NAME`. */
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
