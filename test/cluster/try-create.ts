/** Tries to create an object without kubectl, and returns what kubectl would print: the stored object, or the error, and the warnings. */

import type { KubeObject } from '../../src/kube/api-client.ts';
import { type Connection, openConnection } from '../../src/kube/client/connection.ts';
import { loadKubeConfig } from '../../src/kube/kubeconfig.ts';
import { collectionPath, type PodLike } from './workloads.ts';

export type Tried = {
  /** As it was stored, or would be stored. Undefined where the API server did not create it. */
  readonly created: KubeObject | undefined;
  /** Of the API server, where it did not create the object. */
  readonly error: string;
  readonly warnings: readonly string[];
};

export type TryCreate = (object: object, options?: { readonly namespace?: string; readonly dryRun?: boolean }) => Promise<Tried>;

/** As the kubeconfig's user. Like kubectl, it creates objects in `default` where neither the object nor the options name a namespace. */
export function createTrier(kubeconfig: string): TryCreate {
  let connection: Promise<Connection> | undefined;
  return async (object, { namespace, dryRun = false } = {}) => {
    connection ??= loadKubeConfig({ file: kubeconfig, env: {} }).then(openConnection);
    const { metadata } = object as { metadata?: { namespace?: string } };
    const path = collectionPath(object as PodLike, namespace ?? metadata?.namespace ?? 'default');
    const response = await (await connection).send({
      method: 'POST',
      path,
      query: { fieldValidation: 'Strict', ...(dryRun && { dryRun: 'All' }) },
      body: object,
      what: `POST ${path}`,
      callerSignal: undefined,
      signal: AbortSignal.timeout(30_000),
    });
    const body = (await response.body.json()) as KubeObject & { message?: string };
    const warnings = [response.headers.warning ?? []].flat().flatMap(textsOf);
    return response.statusCode < 300 ? { created: body, error: '', warnings } : { created: undefined, error: body.message ?? '', warnings };
  };
}

/** The texts of a header such as `299 - "first", 299 - "second"`. Quotes and backslashes in a text are escaped. Node decodes headers as latin1. */
function textsOf(header: string): string[] {
  const utf8 = Buffer.from(header, 'latin1').toString();
  return [...utf8.matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)].map(([, text = '']) => text.replaceAll(/\\(.)/g, '$1'));
}
