/**
 * What OpenShift says of registries by itself: its own (`images.config.openshift.io`, and the addresses of the registry's Service), and
 * the registries in which nodes look for a name without one.
 */
import { parseImage } from '../image/reference.ts';
import { valueAt } from '../object/json.ts';
import type { Platform, PlatformRegistry } from '../rules/platform.ts';
import type { ShortNames } from '../rules/ruleset.ts';
import type { ApiClient, KubeObject, Log } from './api.ts';
import type { Schedule } from './checks.ts';
import { type Reflector, watchCollection } from './reflector.ts';
import { watchWhereServed } from './where-served.ts';

export type WatchedPlatform = {
  /** Undefined until everything has been read. */
  current(): Platform | undefined;
  /** What is still to be read; undefined when nothing is. */
  missing(): string | undefined;
  close(): Promise<void>;
};

export type PlatformOptions = {
  readonly client: ApiClient;
  readonly log: Log;
  /** Something may have changed, also from unknown to known. */
  readonly onChange: () => void;
  readonly schedule?: Schedule | undefined;
};

type ImageConfig = KubeObject & {
  readonly spec?: { readonly registrySources?: { readonly containerRuntimeSearchRegistries?: unknown } | null } | null;
  readonly status?: { readonly internalRegistryHostname?: unknown } | null;
};
type Service = KubeObject & {
  readonly spec?: { readonly clusterIP?: unknown; readonly clusterIPs?: unknown; readonly ports?: unknown } | null;
};

/**
 * The Service is asked for only where OpenShift's configuration is served: there, nobody but the platform may make a namespace `openshift-*`.
 * Elsewhere anybody's Service of that name would be trusted as a registry.
 */
export function watchPlatform({ client, log, onChange, schedule }: PlatformOptions): WatchedPlatform {
  let services: Reflector<Service> | undefined;
  const configs = watchWhereServed<ImageConfig>({
    client,
    groupVersion: 'config.openshift.io/v1',
    plural: 'images',
    fieldSelector: 'metadata.name=cluster',
    log,
    schedule,
    onChange,
    onServed(served) {
      if (served) services ??= watchRegistryService(client, log, onChange);
      else void services?.close();
      if (!served) services = undefined;
      onChange();
    },
  });
  let everRead = false;
  const isRead = () => configs.state() === 'absent' || (configs.state() === 'read' && services?.synced === true);
  return {
    current() {
      if (!isRead()) return undefined;
      if (configs.state() === 'absent') return { internalRegistries: [] };
      return readPlatform(configs.get(undefined, 'cluster'), services?.get(registryService.namespace, registryService.name));
    },
    missing() {
      // Read once, it holds until something else is read.
      everRead ||= isRead();
      return everRead ? undefined : 'what the cluster says of its own registries has not been read yet';
    },
    async close() {
      await Promise.all([configs.close(), services?.close()]);
    },
  };
}

const registryService = { namespace: 'openshift-image-registry', name: 'image-registry' };

function watchRegistryService(client: ApiClient, log: Log, onChange: () => void): Reflector<Service> {
  const path = `/api/v1/namespaces/${registryService.namespace}/services`;
  return watchCollection<Service>({ client, path, fieldSelector: `metadata.name=${registryService.name}`, log, onChange });
}

export function readPlatform(config: ImageConfig | undefined, service: Service | undefined): Platform {
  return { internalRegistries: [...namedRegistries(config), ...addressedRegistries(service)], shortNames: searchedRegistries(config) };
}

/** The hostname as the platform writes it, and with the cluster's domain, by which people write it too. */
function namedRegistries(config: ImageConfig | undefined): readonly PlatformRegistry[] {
  const hostname = config?.status?.internalRegistryHostname;
  if (typeof hostname !== 'string' || hostname === '') return [];
  const whole = hostname.replace(/\.svc(?=:|$)/, '.svc.cluster.local');
  return [...new Set([hostname, whole])].map((registry) => ({ registry, object: 'images.config.openshift.io/cluster' }));
}

/** Old manifests and streams name the registry by the address of its Service: `172.30.1.1:5000`. */
function addressedRegistries(service: Service | undefined): readonly PlatformRegistry[] {
  const { clusterIP, clusterIPs, ports } = service?.spec ?? {};
  const addresses = textsOf(clusterIPs ?? [clusterIP]).filter((address) => address !== '' && address !== 'None');
  const object = `service ${registryService.namespace}/${registryService.name}`;
  return addresses.flatMap((address) => {
    const host = address.includes(':') ? `[${address}]` : address;
    return portsOf(ports).map((port) => ({ registry: `${host}:${port}`, object }));
  });
}

/**
 * Without a list of its own, OpenShift's nodes try registry.access.redhat.com and docker.io, and versions differ: what a name would bring
 * nobody can say, so none is let in.
 */
function searchedRegistries(config: ImageConfig | undefined): ShortNames {
  const hosts = textsOf(config?.spec?.registrySources?.containerRuntimeSearchRegistries).filter(isRegistry);
  return hosts.length > 0 ? hosts : 'reject';
}

function isRegistry(host: string): boolean {
  const parsed = parseImage(`${host}/image`);
  return parsed.ok && parsed.reference.qualified;
}

function textsOf(list: unknown): readonly string[] {
  return Array.isArray(list) ? list.filter((each) => typeof each === 'string') : [];
}

function portsOf(list: unknown): readonly number[] {
  return Array.isArray(list) ? list.map((each) => valueAt(each, ['port'])).filter((port) => typeof port === 'number') : [];
}
