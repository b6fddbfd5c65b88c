/**
 * Discovers which of the kinds the cluster serves. Each API is queried separately, concurrently and with a timeout. An aggregated API
 * whose server is unavailable answers 503 or not at all. It must not delay the registration of other webhooks.
 */

import type { Log } from '../../contracts/log.ts';
import { errorMessage } from '../../errors/error-message.ts';
import { type ApiClient, ApiError, boundTo } from '../../kube/api-client.ts';
import { createReconcileLoop, type ReconcileLoop } from '../../kube/reconcile-loop.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import type { RegisteredKind } from './desired.ts';

export type Discovery = {
  /** Whether every API has been queried once, successfully or not. */
  readonly queried: boolean;
  /**
   * The kinds to register, with the entry points that the cluster serves. If an API does not answer: the entry points it served last.
   * Unknown after a restart, these are the ones in `registered`, and on a new installation all of them. An entry point that does not exist
   * does no harm.
   */
  kinds(registered: (kind: RegisteredKind) => readonly string[] | undefined): readonly RegisteredKind[];
  /** Whether the cluster is OpenShift. `registered` is what the live entries indicate, if anything. */
  openshift(registered: boolean | undefined): boolean;
  /** All APIs that are queried, as `group/version`. */
  readonly apis: readonly string[];
  /** The APIs that do not answer at present. */
  unavailable(): readonly UnavailableApi[];
  start(): void;
  stop(): Promise<void>;
};

export type UnavailableApi = {
  /** `group/version`. */
  readonly api: string;
  readonly reason: string;
  /** Epoch milliseconds. */
  readonly since: number;
};

export type DiscoveryOptions = {
  readonly client: ApiClient;
  readonly kinds: readonly RegisteredKind[];
  readonly log: Log;
  /** Called when the result of the discovery has changed. */
  readonly onChange: () => void;
  readonly clock?: Clock | undefined;
};

/** The API server itself gives an aggregated API 5 s to answer its probe. A missing webhook cannot wait that long. */
const requestTimeout = 3_000;

const platformApi = 'config.openshift.io/v1';
const platformResource = 'clusterversions';

type Api = {
  /** Undefined until the API has answered once. */
  served?: ReadonlySet<string> | undefined;
  trouble?: UnavailableApi | undefined;
  /** The API did not exist before, and now answers with an error: it is being installed. */
  coming?: boolean;
};

export function createDiscovery({ client, kinds, log, onChange, clock = systemClock }: DiscoveryOptions): Discovery {
  const apis = new Map<string, Api>([...kinds.filter(isOptional).map(apiOf), platformApi].map((name) => [name, {}]));
  let queried = false;
  let platformListed = false;

  const reconcileLoop: ReconcileLoop = createReconcileLoop({
    reconcile: async (signal) => {
      const before = stateOf();
      await Promise.all([...apis].map(([name, api]) => ask(name, api, signal)));
      signal.throwIfAborted();
      queried = true;
      if (stateOf() !== before) onChange();
      return [...apis.values()].some(({ trouble }) => trouble) ? 'requeue' : undefined;
    },
    onFailure: (err) => log.error({ err }, `API discovery failed: ${errorMessage(err)}. Retrying`),
    resyncMilliseconds: 60_000,
    minIntervalMilliseconds: 5_000,
    clock,
  });

  async function ask(name: string, api: Api, signal: AbortSignal): Promise<void> {
    const bound = boundTo(signal, client);
    try {
      api.served = await bound.resourcesOf(name, { timeoutMilliseconds: requestTimeout });
      api.coming = false;
      if (api.trouble) log.info({ api: name }, `API ${name} is available again`);
      api.trouble = undefined;
    } catch (error) {
      if (signal.aborted) return;
      const reason = errorMessage(error);
      // Only a response of the API server shows that the API now exists. A lost connection shows nothing.
      api.coming = api.served?.size === 0 && error instanceof ApiError && error.status >= 500;
      if (!api.trouble)
        log.warn({ api: name, err: error }, `discovery of the API ${name} failed: ${reason}. ${consequence(name)}. Retrying`);
      api.trouble = { api: name, reason, since: api.trouble?.since ?? clock.now() };
      if (name === platformApi && api.served === undefined) platformListed = await isListed(bound, platformApi);
    }
  }

  function stateOf(): string {
    const state = [...apis].map(([name, { served, trouble, coming }]) => [name, [...(served ?? [])], trouble !== undefined, coming]);
    return JSON.stringify([queried, platformListed, state]);
  }

  return {
    get queried() {
      return queried;
    },
    kinds: (registered) =>
      kinds
        .map((kind) => {
          if (!isOptional(kind)) return kind;
          const served = entryPointsOf(kind, apis.get(apiOf(kind)) ?? {}, registered);
          return { ...kind, entryPoints: kind.entryPoints.filter(({ resource }) => served === undefined || served.includes(resource)) };
        })
        .filter(({ entryPoints }) => entryPoints.length > 0),
    openshift(registered) {
      const { served } = apis.get(platformApi) ?? {};
      // Without evidence of OpenShift no namespace is excluded, because elsewhere any user may create a namespace `openshift-…`.
      return served?.has(platformResource) ?? registered ?? platformListed;
    },
    apis: [...apis.keys()],
    unavailable: () => [...apis.values()].flatMap(({ trouble }) => trouble ?? []),
    start() {
      reconcileLoop.requeue();
      reconcileLoop.start();
    },
    stop: reconcileLoop.stop,
  };
}

/** Undefined means all entry points. */
function entryPointsOf(
  kind: RegisteredKind,
  { served, trouble, coming }: Api,
  registered: (kind: RegisteredKind) => readonly string[] | undefined,
): readonly string[] | undefined {
  if (served === undefined) return registered(kind);
  if (trouble && coming) return undefined;
  return kind.entryPoints.map(({ resource }) => resource).filter((resource) => served.has(resource));
}

/** Kubernetes' own kinds always exist. The others exist only where they are installed. */
function isOptional({ group }: RegisteredKind): boolean {
  return group.includes('.');
}

function apiOf({ group, version }: RegisteredKind): string {
  return `${group}/${version}`;
}

function consequence(api: string): string {
  if (api === platformApi)
    return 'Until the API is available, the existing webhook configurations determine whether this cluster counts as OpenShift';
  return 'Until the API is available, the registration of its kinds does not change. A new installation registers all of them';
}

/** The API server answers the list of groups itself, even while the server of a group is unavailable. */
async function isListed(client: ApiClient, api: string): Promise<boolean> {
  try {
    const path = `/apis/${api.slice(0, api.indexOf('/'))}`;
    await client.request({ method: 'GET', path, timeoutMilliseconds: requestTimeout });
    return true;
  } catch {
    return false;
  }
}
