/**
 * Which of the kinds the cluster serves. Each API is asked by itself, for a limited time, beside the others: one that cannot be asked (an
 * aggregated API whose server is unavailable answers 503, or nothing) must keep nobody else's webhook from being registered.
 */
import type { ApiClient, Log } from '../../kube/api-client.ts';
import { ApiError } from '../../kube/api-client.ts';
import { errorMessage } from '../../kube/explain-api-error.ts';
import { createReconcileLoop, type ReconcileLoop } from '../../kube/reconcile-loop.ts';
import { type Clock, systemClock } from '../../time/clock.ts';
import type { RegisteredKind } from './desired.ts';

export type Discovery = {
  /** Whether every API has been asked once, with an answer or not. */
  readonly asked: boolean;
  /**
   * The kinds to register, with the entryPoints that the cluster serves. Of an API that cannot be asked: those that it served last; else, after a
   * restart, those in `registered`; else, on a fresh install, all of them. A door that does not exist opens for nobody.
   */
  kinds(registered: (kind: RegisteredKind) => readonly string[] | undefined): readonly RegisteredKind[];
  /** Whether this is OpenShift; `registered` is what the live entries say, where they say something. */
  openshift(registered: boolean | undefined): boolean;
  /** All that are asked, as `group/version`. */
  readonly apis: readonly string[];
  /** Those that cannot be asked just now. */
  unavailable(): readonly UnavailableApi[];
  start(): void;
  stop(): void;
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
  /** Something is known that was not before, or is different. */
  readonly onChange: () => void;
  readonly clock?: Clock | undefined;
};

/** The API server itself gives an aggregated API 5 s to answer its probe; a webhook that is missing cannot wait that long. */
const requestTimeout = 3_000;

const platformApi = 'config.openshift.io/v1';
const platformResource = 'clusterversions';

type Api = {
  /** Undefined until it has answered once. */
  served?: ReadonlySet<string> | undefined;
  trouble?: UnavailableApi | undefined;
  /** It said before that it does not exist, and now it answers with an error: somebody is installing it. */
  coming?: boolean;
};

export function createDiscovery({ client, kinds, log, onChange, clock = systemClock }: DiscoveryOptions): Discovery {
  const apis = new Map<string, Api>([...kinds.filter(isOptional).map(apiOf), platformApi].map((name) => [name, {}]));
  let asked = false;
  let platformListed = false;

  const reconcileLoop: ReconcileLoop = createReconcileLoop({
    reconcile: async () => {
      const before = stateOf();
      await Promise.all([...apis].map(([name, api]) => ask(name, api)));
      asked = true;
      if (stateOf() !== before) onChange();
      return [...apis.values()].some(({ trouble }) => trouble) ? 'requeue' : undefined;
    },
    onFailure: (err) => log.error({ err }, `the APIs of the cluster could not be asked: ${errorMessage(err)}`),
    resyncMilliseconds: 60_000,
    minIntervalMilliseconds: 5_000,
    clock,
  });

  async function ask(name: string, api: Api): Promise<void> {
    try {
      api.served = await client.resourcesOf(name, { timeoutMilliseconds: requestTimeout });
      api.coming = false;
      if (api.trouble) log.info({ api: name }, `${name} answers again`);
      api.trouble = undefined;
    } catch (error) {
      const reason = errorMessage(error);
      // Nothing but the API server's own answer says that there is something now; a lost connection says nothing.
      api.coming = api.served?.size === 0 && error instanceof ApiError && error.status >= 500;
      if (!api.trouble) log.warn({ api: name, err: error }, `${name} cannot be asked what it serves: ${reason}; ${consequence(name)}`);
      api.trouble = { api: name, reason, since: api.trouble?.since ?? clock.now() };
      if (name === platformApi && api.served === undefined) platformListed = await isListed(client, platformApi);
    }
  }

  function stateOf(): string {
    const state = [...apis].map(([name, { served, trouble, coming }]) => [name, [...(served ?? [])], trouble !== undefined, coming]);
    return JSON.stringify([asked, platformListed, state]);
  }

  return {
    get asked() {
      return asked;
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
      // Without any sign of OpenShift nothing is left out: elsewhere anybody may create a namespace `openshift-…`.
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

/** Undefined: all of them. */
function entryPointsOf(
  kind: RegisteredKind,
  { served, trouble, coming }: Api,
  registered: (kind: RegisteredKind) => readonly string[] | undefined,
): readonly string[] | undefined {
  if (served === undefined) return registered(kind);
  if (trouble && coming) return undefined;
  return kind.entryPoints.map(({ resource }) => resource).filter((resource) => served.has(resource));
}

/** Kubernetes' own kinds always exist; the rest only where somebody installed it. */
function isOptional({ group }: RegisteredKind): boolean {
  return group.includes('.');
}

function apiOf({ group, version }: RegisteredKind): string {
  return `${group}/${version}`;
}

function consequence(api: string): string {
  if (api === platformApi) return 'whether this is OpenShift is taken from the webhook configurations until it answers';
  return 'its kinds stay registered as they are until it answers, and on a new installation all of them are registered';
}

/** The list of groups is the API server's own answer, also while the server behind a group is unavailable. */
async function isListed(client: ApiClient, api: string): Promise<boolean> {
  try {
    const path = `/apis/${api.slice(0, api.indexOf('/'))}`;
    await client.request({ method: 'GET', path, timeoutMilliseconds: requestTimeout });
    return true;
  } catch {
    return false;
  }
}
