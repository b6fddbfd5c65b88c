import { expect, test } from 'vitest';
import { type ApiClient, ApiError } from '../../../src/kube/api-client.ts';
import { createReader } from '../../cluster/read.ts';

const core = [{ resource: 'pods', singularResource: 'pod', shortNames: ['po'], scope: 'Namespaced', responseKind: { kind: 'Pod' } }];
const knative = [{ resource: 'services', singularResource: 'service', scope: 'Namespaced', responseKind: { kind: 'Service' } }];
const nodes = [{ resource: 'nodes', singularResource: 'node', scope: 'Cluster', responseKind: { kind: 'Node' } }];
const discovery = {
  '/api': { items: [{ versions: [{ version: 'v1', resources: [...core, ...nodes] }] }] },
  '/apis': { items: [{ metadata: { name: 'serving.knative.dev' }, versions: [{ version: 'v1', resources: knative }] }] },
};

test.each<[command: string, asked: string]>([
  ['get pod web -n a', 'GET /api/v1/namespaces/a/pods/web'],
  ['get pod/web -n a', 'GET /api/v1/namespaces/a/pods/web'],
  ['get po web', 'GET /api/v1/namespaces/default/pods/web'],
  ['get node one', 'GET /api/v1/nodes/one'],
  ['get pods', 'LIST /api/v1/namespaces/default/pods {}'],
  ['get pods -n a', 'LIST /api/v1/namespaces/a/pods {}'],
  ['get pods -l app=web,round=1 -n a', 'LIST /api/v1/namespaces/a/pods {"labelSelector":"app=web,round=1"}'],
  ['get pods --field-selector=metadata.name=web -n a', 'LIST /api/v1/namespaces/a/pods {"fieldSelector":"metadata.name=web"}'],
  ['get services.serving.knative.dev web -n a', 'GET /apis/serving.knative.dev/v1/namespaces/a/services/web'],
])('%s is %s', async (command, asked) => {
  const { read, questions } = reader();
  expect(await read(command.split(' '))).toBeDefined();
  expect(questions).toEqual([asked]);
});

test.each([
  'create -f -',
  'get pods -A',
  'get pods,nodes -n a',
  'get pods one two -n a',
  'get pod/one pod/two -n a',
  'get --raw /readyz',
  'get -f file',
  'get gadgets -n a',
])('%s is left to kubectl', async (command) => {
  const { read, questions } = reader();
  expect(await read(command.split(' '))).toBeUndefined();
  expect(questions).toEqual([]);
});

test('a missing object is left to kubectl, which reports it; any other error is thrown', async () => {
  expect(await reader(new ApiError(404, 'NotFound', 'no')).read(['get', 'pod', 'web'])).toBeUndefined();
  await expect(reader(new ApiError(403, 'Forbidden', 'no')).read(['get', 'pod', 'web'])).rejects.toThrow('no');
});

function reader(error?: ApiError) {
  const questions: string[] = [];
  const answer = <T>(question: string, value: T): T => {
    questions.push(question);
    if (error) throw error;
    return value;
  };
  const api = {
    request: async ({ path }: { path: '/api' | '/apis' }) => discovery[path],
    get: async (path: string) => answer(`GET ${path}`, {}),
    list: async (path: string, query: object) => answer(`LIST ${path} ${JSON.stringify(query)}`, { items: [] }),
  };
  return { questions, read: createReader(async () => api as unknown as ApiClient) };
}
