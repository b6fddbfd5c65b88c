/** What the platform adds to the rules: on OpenShift its own registry, and the registries that nodes search for short names. */
import { readPlatform, registryService } from '../cluster/facts/openshift-registries.ts';
import { type ApiClient, isNotFound, type KubeObject } from '../kube/api-client.ts';
import type { Platform } from '../rules/store/add-platform-rules.ts';
import { describeNotRead, type NotRead } from './not-read.ts';

export type LivePlatform = { readonly platform: Platform; readonly isOpenshift: boolean; readonly notRead: readonly NotRead[] };

const configApi = 'config.openshift.io/v1';

/** What cannot be read counts as absent, and short names are then denied, as on a server without the permission. */
export async function readLivePlatform(client: ApiClient): Promise<LivePlatform> {
  if (!(await client.hasResource(configApi, 'images'))) return { platform: { internalRegistries: [] }, isOpenshift: false, notRead: [] };
  const notRead: NotRead[] = [];
  const read = async (path: string, resource: string, namespace?: string): Promise<KubeObject | undefined> => {
    try {
      return await client.get<KubeObject>(path);
    } catch (error) {
      if (!isNotFound(error)) notRead.push(describeNotRead(error, { resource, namespace, path, verb: 'get' }));
      return undefined;
    }
  };
  const { namespace, name } = registryService;
  const config = await read(`/apis/${configApi}/images/cluster`, 'images.config.openshift.io');
  const service = await read(`/api/v1/namespaces/${namespace}/services/${name}`, 'services', namespace);
  return { platform: readPlatform(config, service), isOpenshift: true, notRead };
}
