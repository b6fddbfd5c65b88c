/** Observes the two webhook configurations and regkeeper's own namespace. */
import { isNotFound, type KubeObject } from '../../kube/api-client.ts';
import { createInformer } from '../../kube/informer.ts';
import {
  apiOfConfigurations,
  type Configuration,
  configurations,
  type LiveConfiguration,
  ourName,
  withOwnership,
} from './live-configuration.ts';
import { type RegistrationOptions, requestTimeout } from './options.ts';

export type Namespace = KubeObject & { metadata: { deletionTimestamp?: string } };
export type Present = { readonly configuration: Configuration; readonly live: LiveConfiguration };

export type Observed = {
  /** The configurations that exist. */
  present(): readonly Present[];
  /** Logs once for each configuration that does not exist. */
  reportMissing(): void;
  /** Whether regkeeper's namespace is being deleted, or does not exist any more. */
  isLeaving(): boolean;
  /**
   * The last observed namespace, so that repairs do not wait for a request. Undefined if it does not exist, which is logged once. Its
   * configurations are then deleted too.
   *
   * @throws ApiError
   */
  ownNamespace(): Promise<Namespace | undefined>;
  start(): void;
  stop(): Promise<void>;
};

export type ObservedChanges = {
  onConfiguration(configuration: Configuration): void;
  onNamespace(namespace: Namespace | undefined): void;
};

export function createObserved(
  { client, namespace, log, clock, watchTimings: timings }: RegistrationOptions,
  { onConfiguration, onNamespace }: ObservedChanges,
): Observed {
  const missing = new Set<string>();
  let namespaceReported = false;

  // Each object has its own informer. If one cannot be read, the others still can.
  const createOwnInformer = <T extends KubeObject>(
    path: string,
    name: string,
    onChange: (object: T | undefined) => void,
    keep?: (object: T) => T,
  ) =>
    createInformer<T>({
      client,
      path,
      fieldSelector: `metadata.name=${name}`,
      keep,
      log,
      onChange: ({ object }) => onChange(object),
      clock,
      timings,
    });
  const informers = configurations.map((configuration) => ({
    configuration,
    informer: createOwnInformer<LiveConfiguration>(
      `/apis/${apiOfConfigurations}/${configuration.plural}`,
      ourName,
      () => onConfiguration(configuration),
      withOwnership,
    ),
  }));
  const namespaces = createOwnInformer<Namespace>('/api/v1/namespaces', namespace, onNamespace);
  const all = [namespaces, ...informers.map(({ informer }) => informer)];

  return {
    present: () =>
      informers.flatMap(({ configuration, informer }) => {
        const live = informer.get(undefined, ourName);
        return live ? [{ configuration, live }] : [];
      }),
    reportMissing() {
      for (const { configuration, informer } of informers) {
        const { kind } = configuration;
        if (!informer.synced) continue;
        if (informer.get(undefined, ourName)) missing.delete(kind);
        else if (!missing.has(kind)) {
          missing.add(kind);
          log.warn(
            { kind },
            `the ${kind} ${ourName} does not exist, so requests are not being evaluated. regkeeper does not recreate it. To re-enable regkeeper, apply its manifests again`,
          );
        }
      }
    },
    isLeaving() {
      const own = namespaces.get(undefined, namespace);
      return namespaces.synced && (own === undefined || own.metadata.deletionTimestamp !== undefined);
    },
    async ownNamespace() {
      const seen = namespaces.get(undefined, namespace);
      if (seen) return seen;
      try {
        const path = `/api/v1/namespaces/${namespace}`;
        return await client.request<Namespace>({ method: 'GET', path, timeoutMilliseconds: requestTimeout });
      } catch (error) {
        if (!isNotFound(error)) throw error;
        if (!namespaceReported) log.warn({}, `the namespace ${namespace} does not exist, so no webhooks are registered`);
        namespaceReported = true;
        return undefined;
      }
    },
    start() {
      for (const informer of all) informer.start();
    },
    async stop() {
      await Promise.all(all.map((informer) => informer.stop()));
    },
  };
}
