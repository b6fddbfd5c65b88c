/** What a scan must know about the installation of regkeeper: which requests it receives, which kinds it reads, and what the platform adds. */
import type { ApiClient } from '../kube/api-client.ts';
import type { Kinds } from '../object/kinds.ts';
import type { Platform } from '../rules/store/add-platform-rules.ts';
import { collectionsOf, resourceName } from './collections.ts';
import { readLivePlatform } from './live-platform.ts';
import type { NotRead } from './not-read.ts';
import { readServerOptions, type ServerOptions } from './server-options.ts';
import { readWebhookScope, type WebhookScope } from './webhook-scope.ts';

export type Installation = {
  readonly platform: Platform;
  readonly scope: WebhookScope;
  readonly kinds: Kinds;
  /** What could not be read of the server matters only if its rules apply. */
  readonly server: Pick<ServerOptions, 'namespaceRules' | 'rulesFromCluster' | 'notRead'>;
  readonly notRead: readonly NotRead[];
};

export type InstallationOptions = {
  /** The namespace of regkeeper. */
  readonly namespace: string;
  /** Instead of those that the server reads. */
  readonly kinds?: Kinds | undefined;
};

export async function readInstallation(client: ApiClient, { namespace, kinds: chosen }: InstallationOptions): Promise<Installation> {
  const { platform, isOpenshift, notRead } = await readLivePlatform(client);
  const scope = await readWebhookScope(client, { namespace, isOpenshift });
  const { kinds: ofServer, ...server } = await readServerOptions(client, namespace);
  const kinds = chosen ?? ofServer;
  const isKnown = ({ code }: NotRead) => code === 'unknown-kind' && chosen !== undefined;
  const missed = server.notRead.filter((each) => !isKnown(each));
  return {
    platform,
    scope,
    kinds,
    server: { ...server, notRead: missed.filter(({ code }) => code !== 'unknown-kind') },
    notRead: [...notRead, ...missed.filter(({ code }) => code === 'unknown-kind'), ...unknownKinds(scope, kinds)],
  };
}

/** Kinds that the webhooks receive, and whose images are not known here. */
function unknownKinds({ resources = new Set<string>() }: WebhookScope, kinds: Kinds): readonly NotRead[] {
  const known = new Set([
    ...collectionsOf(kinds).map(resourceName),
    ...kinds.rows.flatMap(({ entryPoints, group }) => entryPoints.map(({ resource }) => resourceName({ resource, group }))),
  ]);
  return [...resources]
    .filter((resource) => !known.has(resource))
    .map((resource) => ({
      resource,
      code: 'unknown-kind',
      message: `the webhooks match ${resource}, but the paths of its images are unknown. With --custom-kinds, pass the file that declares this kind`,
    }));
}
