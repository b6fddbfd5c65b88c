/** Answers `kubectl get -o json` without starting kubectl: one object by name, a collection, or a selection by labels or fields. */

import { type ApiClient, ApiError } from '../../src/kube/api-client.ts';

/** Returns undefined for arguments that it does not support; the caller then runs kubectl. Throws the ApiError of the API server. */
export type Reader = (args: readonly string[]) => Promise<unknown>;

export function createReader(connect: () => Promise<ApiClient>): Reader {
  let resources: readonly Resource[] = [];
  const find = (name: string) => resources.find((each) => each.names.has(name));

  return async (args) => {
    const question = parse(args);
    if (question === undefined) return undefined;
    const api = await connect();
    // Custom resources are added and removed, so an unknown kind is discovered again.
    if (find(question.resource) === undefined) resources = await discover(api);
    const resource = find(question.resource);
    if (resource === undefined) return undefined;
    const { name, query, namespace = 'default' } = question;
    const path = `${resource.prefix}${resource.namespaced ? `/namespaces/${namespace}` : ''}/${resource.plural}`;
    try {
      if (name !== undefined) return await api.get<object>(`${path}/${name}`);
      return { apiVersion: 'v1', kind: 'List', items: (await api.list(path, query)).items };
    } catch (error) {
      // The object, or its kind: kubectl says which.
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  };
}

type Question = {
  readonly resource: string;
  readonly name: string | undefined;
  readonly namespace: string | undefined;
  readonly query: Readonly<Record<string, string>>;
};

function parse([verb, ...args]: readonly string[]): Question | undefined {
  if (verb !== 'get') return undefined;
  const words: string[] = [];
  const query: Record<string, string> = {};
  let namespace: string | undefined;
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index] ?? '';
    if (arg === '-n') namespace = args[++index];
    else if (arg === '-l') query.labelSelector = args[++index] ?? '';
    else if (arg.startsWith('--field-selector=')) query.fieldSelector = arg.slice('--field-selector='.length);
    else if (arg.startsWith('-')) return undefined;
    else words.push(arg);
  }
  const [resource = '', name, ...more] = words.length === 1 ? (words[0] ?? '').split('/') : words;
  const several = more.length > 0 || words.some((word) => word.includes(',') || (words.length > 1 && word.includes('/')));
  if (resource === '' || several) return undefined;
  return { resource, name, namespace, query };
}

type Resource = { readonly names: ReadonlySet<string>; readonly prefix: string; readonly plural: string; readonly namespaced: boolean };

type Discovery = {
  items: {
    metadata?: { name?: string };
    versions: {
      version: string;
      freshness?: string;
      resources?: { resource: string; singularResource?: string; shortNames?: string[]; scope: string; responseKind?: { kind: string } }[];
    }[];
  }[];
};

const discoveryFormat = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** In kubectl's order: the core group first, and of each group the version that the API server prefers. */
async function discover(api: ApiClient): Promise<Resource[]> {
  const answers = await Promise.all(
    ['/api', '/apis'].map((path) => api.request<Discovery>({ method: 'GET', path, accept: discoveryFormat })),
  );
  return answers.flatMap(({ items }) =>
    items.flatMap(({ metadata: { name: group = '' } = {}, versions }) =>
      versions.flatMap(({ version, resources = [] }) =>
        resources.map(({ resource, singularResource = '', shortNames = [], scope, responseKind }) => {
          const short = [resource, singularResource, ...shortNames, responseKind?.kind.toLowerCase() ?? ''].filter(Boolean);
          const long = group === '' ? [] : short.flatMap((each) => [`${each}.${group}`, `${each}.${version}.${group}`]);
          const prefix = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
          return { names: new Set([...short, ...long]), prefix, plural: resource, namespaced: scope === 'Namespaced' };
        }),
      ),
    ),
  );
}
