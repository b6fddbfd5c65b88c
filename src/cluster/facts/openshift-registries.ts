/**
 * What OpenShift configures about registries: the internal registry (`images.config.openshift.io` and the addresses of its Service), and
 * the registries that nodes search for short names.
 */

import type { ImmediateComponent } from '../../contracts/component.ts';
import type { Log } from '../../contracts/log.ts';
import { parseImage } from '../../image/reference.ts';
import { type ApiClient, ApiError, type KubeObject } from '../../kube/api-client.ts';
import { createInformer, type Informer } from '../../kube/informer.ts';
import { identityOf } from '../../kube/object-identity.ts';
import { createOptionalInformer } from '../../kube/optional-informer.ts';
import { valueAt } from '../../object/json.ts';
import type { ShortNames } from '../../rules/rule-set.ts';
import type { Platform, PlatformRegistry } from '../../rules/store/add-platform-rules.ts';
import { type Clock, systemClock } from '../../time/clock.ts';

export type ClusterPlatform = ImmediateComponent & {
  /** Undefined until everything has been read, or could not be read for 20 s. After that, unknown registries count as absent. */
  current(): Platform | undefined;
  /** What has not been read yet, or undefined. */
  missing(): string | undefined;
};

export type PlatformOptions = {
  readonly client: ApiClient;
  readonly log: Log;
  /** Called after a possible change, including from unknown to known. */
  readonly onChange: () => void;
  readonly clock?: Clock | undefined;
};

type ImageConfig = KubeObject & {
  readonly spec?: {
    readonly registrySources?: { readonly containerRuntimeSearchRegistries?: unknown } | null;
    readonly externalRegistryHostnames?: unknown;
  } | null;
  readonly status?: { readonly internalRegistryHostname?: unknown; readonly externalRegistryHostnames?: unknown } | null;
};
type Service = KubeObject & {
  readonly spec?: { readonly clusterIP?: unknown; readonly clusterIPs?: unknown; readonly ports?: unknown } | null;
};

/**
 * Reads the Service only where OpenShift's configuration is served, because there only the platform may create a namespace `openshift-*`.
 * Elsewhere a Service of that name could belong to any user, and would be trusted as a registry.
 */
export function createClusterPlatform({ client, log, onChange, clock = systemClock }: PlatformOptions): ClusterPlatform {
  let services: Informer<Service> | undefined;
  /** Whether the last answer was 401 or 403. A missing permission is a mistake in the installation, which should then not become ready. */
  let rejected = false;
  let waitedLongEnough = false;
  /** Once read, the state is valid until a change is read. */
  let everRead = false;
  let skipped = false;

  const onAnswer = () => {
    everRead ||= isRead();
    skipped &&= !everRead;
    onChange();
  };
  const onFailure = (failure: Error) => {
    rejected = failure instanceof ApiError && (failure.status === 401 || failure.status === 403);
    skipIfDue();
  };
  const configs = createOptionalInformer<ImageConfig>({
    client,
    groupVersion: 'config.openshift.io/v1',
    plural: 'images',
    fieldSelector: 'metadata.name=cluster',
    keep: (config) => ({ metadata: identityOf(config), spec: config.spec ?? null, status: config.status ?? null }),
    log,
    clock,
    onChange: onAnswer,
    onFailure,
    onServed(served) {
      if (served) services ??= watchRegistryService(client, log, clock, onAnswer, onFailure);
      else void services?.stop();
      if (!served) services = undefined;
      onAnswer();
    },
  });
  let cancel = () => {};
  const endWait = () => {
    waitedLongEnough = true;
    skipIfDue();
  };

  function isRead(): boolean {
    return configs.state() === 'absent' || (configs.state() === 'synced' && services?.synced === true);
  }

  /** Decided once, with a warning. A later rejection is logged by the informer, and does not make a ready replica unready. */
  function skipIfDue(): void {
    if (!waitedLongEnough || rejected || everRead || skipped) return;
    skipped = true;
    log.warn(
      {},
      'cannot read images.config.openshift.io/cluster or the Service of the internal registry. Until this succeeds, images from the internal registry are allowed only if a rule trusts that registry. Images without a registry are denied unless the rules set shortNames. Retrying',
    );
    onChange();
  }

  return {
    name: 'platform',
    current() {
      if (configs.state() === 'absent') return { internalRegistries: [] };
      if (!isRead()) {
        if (!skipped) return undefined;
        if (configs.state() !== 'synced') return { internalRegistries: [], shortNames: 'reject' };
      }
      return readPlatform(configs.get(undefined, 'cluster'), services?.get(registryService.namespace, registryService.name));
    },
    missing() {
      return everRead || skipped ? undefined : "the cluster's registry configuration has not been read yet";
    },
    start() {
      configs.start();
      cancel = clock.schedule(endWait, maxWait);
    },
    async stop() {
      cancel();
      await Promise.all([configs.stop(), services?.stop()]);
    },
  };
}

/**
 * How long the start waits, in milliseconds. An API that does not answer must not block what does not depend on it. What depends on it is
 * evaluated strictly meanwhile.
 */
const maxWait = 20_000;

export const registryService = { namespace: 'openshift-image-registry', name: 'image-registry' };

function watchRegistryService(
  client: ApiClient,
  log: Log,
  clock: Clock,
  onChange: () => void,
  onFailure: (failure: Error) => void,
): Informer<Service> {
  const path = `/api/v1/namespaces/${registryService.namespace}/services`;
  const services = createInformer<Service>({
    client,
    path,
    fieldSelector: `metadata.name=${registryService.name}`,
    keep: (service) => ({ metadata: identityOf(service), spec: service.spec ?? null }),
    log,
    clock,
    onChange,
    onFailure,
  });
  services.start();
  return services;
}

export function readPlatform(config: ImageConfig | undefined, service: Service | undefined): Platform {
  const externalRegistries = exposedRegistries(config);
  return {
    internalRegistries: [...namedRegistries(config), ...addressedRegistries(service)],
    ...(externalRegistries.length > 0 && { externalRegistries }),
    shortNames: searchedRegistries(config),
  };
}

/** The hostname as the platform writes it, and with the cluster domain, which users also write. */
function namedRegistries(config: ImageConfig | undefined): readonly PlatformRegistry[] {
  const internal = textsOf([config?.status?.internalRegistryHostname]);
  return fromConfig([...internal, ...internal.map((hostname) => hostname.replace(/\.svc(?=:|$)/, '.svc.cluster.local'))]);
}

/**
 * The hostnames of the registry's routes, which the registry operator writes into `status` and administrators into `spec` (openshift/api
 * config/v1, Image). OpenShift's credentials of service accounts have only the names of the Service (openshift-controller-manager,
 * registry_urls_observation_controller.go).
 */
function exposedRegistries(config: ImageConfig | undefined): readonly PlatformRegistry[] {
  return fromConfig([...textsOf(config?.status?.externalRegistryHostnames), ...textsOf(config?.spec?.externalRegistryHostnames)]);
}

function fromConfig(names: readonly string[]): readonly PlatformRegistry[] {
  return [...new Set(names)].filter((name) => name !== '').map((registry) => ({ registry, object: 'images.config.openshift.io/cluster' }));
}

/** Old manifests and streams refer to the registry by the address of its Service: `172.30.1.1:5000`. */
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
 * Without a configured list, OpenShift's nodes try registry.access.redhat.com and docker.io, and versions differ. The image of a short
 * name is then uncertain, so short names are denied.
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
