/** Writes copies: each action of a plan as requests to the API server, with preconditions, so that a plan from stale data changes nothing. */
import type { CopyContent } from '../../delivery/content.ts';
import { readExistingSecret } from '../../delivery/existing-secret.ts';
import {
  copyRulesAnnotation,
  copyType,
  deliveredLabel,
  deliveryFieldManager,
  fencePolicy,
  foreignRejection,
  sourceVersionAnnotation,
  unusedSinceAnnotation,
} from '../../delivery/names.ts';
import type { CopyAction, Precondition } from '../../delivery/plan-copy.ts';
import { type ApiClient, ApiError, boundTo, isNotFound, type KubeObject } from '../../kube/api-client.ts';
import { partialMetadata } from '../../kube/partial-metadata.ts';

export type CopyWriter = {
  /** @throws ApiError */
  write(copy: CopyToWrite, action: Exclude<CopyAction, { do: 'leave' }>, signal: AbortSignal): Promise<WriteResult>;
};

export type CopyToWrite = {
  readonly namespace: string;
  readonly name: string;
  /** Undefined if the action needs no content. */
  readonly content: (Omit<CopyContent, 'data'> & { readonly data: NonNullable<CopyContent['data']> }) | undefined;
};

/**
 * `conflict`: another writer was faster, and the plan is made again from the new state. `needed`: an object needs the copy that was to be
 * deleted. `foreign`: the Secret is no copy, although it may have the label: its type is another one. `immutable`: the copy must be deleted to
 * be changed, although its managedFields do not show that.
 */
export type WriteResult =
  | { readonly result: 'written'; readonly secret?: KubeObject['metadata'] }
  | { readonly result: 'conflict' | 'needed' | 'foreign' | 'immutable' };

export type CopyWriterOptions = {
  readonly client: ApiClient;
  /** Whether an object of the namespace needs the secret, read at this moment. */
  readonly isNeededNow: (namespace: string, name: string, signal: AbortSignal) => Promise<boolean>;
};

export function createCopyWriter({ client: whole, isNeededNow }: CopyWriterOptions): CopyWriter {
  return {
    async write(copy, action, signal) {
      const client = boundTo(signal, whole);
      try {
        switch (action.do) {
          case 'create':
            return written(await apply(client, copy));
          case 'update':
            return written(await apply(client, copy, action.of));
          case 'replace':
            if (!(await remove(client, copy, action.of))) return { result: 'conflict' };
            return written(await apply(client, copy));
          case 'delete':
            if (action.because === 'unused' && (await isNeededNow(copy.namespace, copy.name, signal))) return { result: 'needed' };
            return (await remove(client, copy, action.of)) ? { result: 'written' } : { result: 'conflict' };
          case 'mark-unused':
            return written(await annotate(client, copy, action.of, new Date(action.since).toISOString()));
          case 'unmark-unused':
            return written(await annotate(client, copy, action.of, null));
        }
      } catch (error) {
        if (isConflict(error)) return { result: 'conflict' };
        if (isOfOtherType(error)) return { result: 'foreign' };
        if (isImmutable(error)) return { result: 'immutable' };
        throw error;
      }
    },
  };
}

function written({ metadata }: KubeObject): WriteResult {
  return { result: 'written', secret: metadata };
}

/**
 * A Secret of this name that was created meanwhile is not overwritten: the fence rejects an update of a Secret without the label. With uid and
 * resourceVersion, any other change is a conflict, and a deleted copy is not created again.
 */
async function apply(client: ApiClient, copy: CopyToWrite, of?: Precondition): Promise<KubeObject> {
  const { name, namespace, content } = copy;
  if (!content) throw new Error(`no content for the copy ${namespace}/${name}`);
  return client.request<KubeObject>({
    method: 'PATCH',
    path: pathOf(copy),
    query: { fieldManager: deliveryFieldManager, force: true },
    contentType: 'application/apply-patch+yaml',
    accept: metadataOnly,
    body: copyObject(name, content, content.data, of),
  });
}

/** The Secret as it is applied. */
export function copyObject(
  name: string,
  { version, rules }: Pick<CopyContent, 'version' | 'rules'>,
  data: Readonly<Record<string, string>>,
  of?: Precondition,
): KubeObject {
  const metadata = {
    name,
    ...preconditionsOf(of),
    labels: { [deliveredLabel]: 'true', 'app.kubernetes.io/managed-by': 'regkeeper' },
    annotations: { [sourceVersionAnnotation]: version, [copyRulesAnnotation]: rules },
  };
  return { apiVersion: 'v1', kind: 'Secret', metadata, type: copyType, data } as KubeObject;
}

/** Returns false if the Secret is no longer the one that was to be deleted. */
async function remove(client: ApiClient, copy: CopyToWrite, of: Precondition): Promise<boolean> {
  const { items } = await client.list<KubeObject>(
    collectionOf(copy),
    { fieldSelector: `metadata.name=${copy.name}` },
    { accept: partialMetadata('PartialObjectMetadataList') },
  );
  const live = items[0] && readExistingSecret(items[0]);
  if (!live?.delivered || live.uid !== of.uid || live.resourceVersion !== of.resourceVersion) return false;
  const { uid, resourceVersion } = of;
  await client.request({
    method: 'DELETE',
    path: pathOf(copy),
    accept: metadataOnly,
    body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion } },
  });
  return true;
}

/** A merge patch, since an apply without the content would remove it. */
async function annotate(client: ApiClient, copy: CopyToWrite, of: Precondition, since: string | null): Promise<KubeObject> {
  return client.request<KubeObject>({
    method: 'PATCH',
    path: pathOf(copy),
    query: { fieldManager: deliveryFieldManager },
    contentType: 'application/merge-patch+json',
    accept: metadataOnly,
    body: { metadata: { ...preconditionsOf(of), annotations: { [unusedSinceAnnotation]: since } } },
  });
}

function preconditionsOf(of: Precondition | undefined): object {
  return of ? { uid: of.uid, resourceVersion: of.resourceVersion } : {};
}

/** The answers repeat no content. */
const metadataOnly = partialMetadata('PartialObjectMetadata');

function collectionOf({ namespace }: CopyToWrite): string {
  return `/api/v1/namespaces/${namespace}/secrets`;
}

function pathOf(copy: CopyToWrite): string {
  return `${collectionOf(copy)}/${copy.name}`;
}

/** A changed version is 409, a namespace or copy that was deleted is 404, and a namespace that is being deleted accepts no new object. */
function isConflict(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 409 || isNotFound(error) || error.message.includes('is being terminated'));
}

/** A type cannot change, so the API server rejects an update before it asks the policy. A deletion is rejected by the policy. */
function isOfOtherType(error: unknown): boolean {
  if (isRejectedByFence(error)) return error.message.includes(foreignRejection);
  return error instanceof ApiError && error.status === 422 && /\btype: Invalid value: .*field is immutable/.test(error.message);
}

/** Any writer may remove the managedFields of a Secret, and with them the trace of who made it immutable. */
function isImmutable(error: unknown): boolean {
  return error instanceof ApiError && error.status === 422 && error.message.includes('field is immutable when `immutable` is set');
}

/** Whether the policy that limits this account has rejected a request. */
export function isRejectedByFence(error: unknown): error is ApiError {
  return error instanceof ApiError && error.status > 0 && error.message.includes(`ValidatingAdmissionPolicy '${fencePolicy}'`);
}
