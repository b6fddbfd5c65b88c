/** The rules in force in a cluster, read once from the ConfigMaps that the server follows. */
import { readSnapshot } from '../cluster/rules/rule-snapshot.ts';
import { type ConfigMap, trimRulesConfigMap } from '../cluster/rules/rule-texts.ts';
import type { Log } from '../contracts/log.ts';
import { type ApiClient, ApiError } from '../kube/api-client.ts';
import { createDocumentParser } from '../loading/document-parser.ts';
import { hashRules } from '../loading/load-rules.ts';
import { createRuleLoader } from '../loading/rule-loader.ts';
import { configMapBundle, idOf, rulesLabel } from '../rules/language/config-map.ts';
import type { RuleScope } from '../rules/language/parse.ts';
import type { Problem } from '../rules/language/problem.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import { type Bundle, createRuleStore, type RulesChange } from '../rules/store/rule-store.ts';
import { describeNotRead, type NotRead } from './not-read.ts';

export type LiveRulesOptions = {
  readonly client: ApiClient;
  /** The namespace of regkeeper. */
  readonly namespace: string;
  /** Whether namespaces may have their own rules. */
  readonly namespaceRules: boolean;
  /** Replaces bundles, for a preview. */
  readonly change?: ((bundles: readonly Bundle[]) => readonly Bundle[]) | undefined;
  /** Is called for each ConfigMap with all its metadata. `id` is that of its bundle. */
  readonly onConfigMap?: ((configMap: ConfigMap, id: Bundle['id']) => void) | undefined;
};

export type LiveRules = {
  /** As written, without what the platform adds. Undefined if no rules are in effect. */
  readonly written: RuleSet | undefined;
  /** Why there are none. */
  readonly missing: string | undefined;
  /** Of ConfigMaps that the server rejects too. Their last valid version applies. */
  readonly problems: readonly Problem[];
  /** Why the rules come from the snapshot, as sentences. Empty if they do not. */
  readonly fromSnapshot: readonly string[];
  readonly notRead: readonly NotRead[];
};

/** Loads the bundles with the code of the server, so that the rules and their revision are the same. */
export async function readLiveRules(options: LiveRulesOptions): Promise<LiveRules> {
  const { client, namespace, namespaceRules, change = (same) => same, onConfigMap } = options;
  const notRead: NotRead[] = [];
  const list = async (scope: RuleScope['kind'], path: string, place: string | undefined) => {
    try {
      const query = { labelSelector: `${rulesLabel}=${scope}` };
      const trim = trimRulesConfigMap(scope);
      const keep = (configMap: ConfigMap) => {
        onConfigMap?.(configMap, idOf(configMap, scope));
        return trim(configMap);
      };
      const { items } = await client.list<ConfigMap>(path, query, { keep });
      return items.sort(byAge).map((configMap) => configMapBundle(configMap, scope));
    } catch (error) {
      notRead.push(describeNotRead(error, { resource: 'configmaps', namespace: place, path, verb: 'list' }));
      return [];
    }
  };
  const bundles = await list('cluster', `/api/v1/namespaces/${namespace}/configmaps`, namespace);
  if (namespaceRules) bundles.push(...(await list('namespace', '/api/v1/configmaps', undefined)));
  const lastGood = notRead.length > 0 ? [] : await readSnapshot({ client, namespace, log: failureLog(notRead, namespace) });
  const changed = change(bundles).filter(({ scope }) => namespaceRules || scope?.kind !== 'namespace');
  return { ...(await load(changed, lastGood)), notRead };
}

/** If two ConfigMaps contradict each other, the older one was first. */
function byAge({ metadata: one }: ConfigMap, { metadata: other }: ConfigMap): number {
  const age = (one.creationTimestamp ?? '').localeCompare(other.creationTimestamp ?? '');
  return age === 0 ? one.name.localeCompare(other.name) : age;
}

/** A snapshot that cannot be read matters only to ConfigMaps that are invalid now, which have problems. */
function failureLog(notRead: NotRead[], namespace: string): Log {
  const ignore = () => undefined;
  return {
    debug: ignore,
    info: ignore,
    warn: ignore,
    error: (fields, message) => {
      const { err } = fields as { readonly err?: unknown };
      if (err instanceof ApiError) notRead.push({ resource: 'configmaps', namespace, code: 'unavailable', message });
    },
  };
}

async function load(bundles: readonly Bundle[], lastGood: readonly Bundle[]): Promise<Omit<LiveRules, 'notRead'>> {
  const store = createRuleStore(hashRules);
  const changes: RulesChange[] = [];
  // Nothing waits for this process, so no document needs a thread. Its size limits the work for each.
  const parser = createDocumentParser({ maxInlineCharacters: Number.POSITIVE_INFINITY });
  const parsers = { cluster: parser, namespaces: parser };
  const loader = createRuleLoader({ store, parsers, onChange: (events) => void changes.push(...events) });
  await loader.open(bundles, lastGood);
  loader.stop();
  const problems = changes.flatMap((change) => change.problems);
  const fromSnapshot = lastGood.length === 0 ? [] : [...new Set(changes.flatMap(({ alert }) => alert ?? []))];
  return { written: store.written(), missing: store.missing(), problems, fromSnapshot };
}
