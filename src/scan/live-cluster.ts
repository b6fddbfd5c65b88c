/** The inputs of an evaluation of live objects: the rules of the cluster, its facts, and what the webhooks receive. */
import { snapshotName } from '../cluster/rules/rule-snapshot.ts';
import type { ApiClient } from '../kube/api-client.ts';
import { hashRules } from '../loading/load-rules.ts';
import type { Problem } from '../rules/language/problem.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import { withPlatform } from '../rules/store/add-platform-rules.ts';
import { namedSecrets } from '../rules/store/named-secrets.ts';
import type { NamespaceWithLabels } from './compare-copies.ts';
import type { Installation } from './installation.ts';
import { type LiveFacts, readLiveFacts } from './live-facts.ts';
import { type LiveRulesOptions, readLiveRules } from './live-rules.ts';
import type { NotRead } from './not-read.ts';

export type RulesInCluster =
  | {
      readonly ok: true;
      readonly rules: RuleSet;
      readonly problems: readonly Problem[];
      /** Why rules come from the snapshot, as sentences with the name of the snapshot. Empty if they do not. */
      readonly fromSnapshot: readonly string[];
      readonly notRead: readonly NotRead[];
    }
  /** `why` are sentences without the full stop at the end. */
  | { readonly ok: false; readonly problems: readonly Problem[]; readonly why: readonly string[] };

export type RulesInClusterOptions = {
  readonly client: ApiClient;
  readonly installation: Installation;
  /** The namespace of regkeeper. */
  readonly namespace: string;
  /** Replaces bundles, for a preview. */
  readonly change?: LiveRulesOptions['change'];
  readonly onConfigMap?: LiveRulesOptions['onConfigMap'];
};

/** The rules that the server has in force, with the same revision. */
export async function readRulesInCluster(options: RulesInClusterOptions): Promise<RulesInCluster> {
  const { client, installation, namespace, change, onConfigMap } = options;
  if (!installation.server.rulesFromCluster)
    return { ok: false, problems: [], why: ['the server loads its rules from files. Pass them with --rules'] };
  const { namespaceRules, notRead: ofServer } = installation.server;
  const { written, missing, problems, notRead, ...read } = await readLiveRules({ client, namespace, namespaceRules, change, onConfigMap });
  if (written) {
    const place = `the rules in effect come from the snapshot, ConfigMap ${namespace}/${snapshotName}`;
    const fromSnapshot = read.fromSnapshot.map((why) => `${place}: ${why}`);
    return { ok: true, rules: onPlatform(written, installation), problems, fromSnapshot, notRead: [...ofServer, ...notRead] };
  }
  const why = notRead.length > 0 ? notRead.map(({ message }) => message) : [missing ?? 'no rules are in effect'];
  return { ok: false, problems, why };
}

/** The written rules, with what the platform of the cluster adds. */
export function onPlatform(written: RuleSet, { platform }: Pick<Installation, 'platform'>): RuleSet {
  return withPlatform(written, platform, hashRules).ruleSet;
}

export type LiveInputs = Pick<LiveFacts, 'facts' | 'gaps' | 'notRead'> & {
  readonly isCovered: (namespace: string) => boolean;
  /** All that were read. */
  readonly namespaces: () => readonly NamespaceWithLabels[];
};

export type LiveInputsOptions = {
  readonly client: ApiClient;
  readonly installation: Installation;
  /** The namespace of regkeeper. */
  readonly regkeeperNamespace: string;
  /** All rules that are evaluated. None for a first draft of rules. */
  readonly rules: readonly RuleSet[];
  /** All namespaces by default. */
  readonly namespace?: string | undefined;
  /** Whether the existence of Secrets is read, for which the caller needs the permission to list them. True by default. */
  readonly readSecrets?: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
};

/** @throws ApiError if the API server cannot be reached, or the namespace does not exist */
export async function readLiveInputs(options: LiveInputsOptions): Promise<LiveInputs> {
  const { client, installation, regkeeperNamespace, rules, namespace, readSecrets = true, now } = options;
  const { kinds, scope } = installation;
  const secretNames = readSecrets ? [...new Set(rules.flatMap(namedSecrets))] : [];
  const deliveredFrom = rules.some(({ deliveredSecrets }) => deliveredSecrets.length > 0) ? regkeeperNamespace : undefined;
  const { facts, labelsOf, namespaces, gaps, notRead } = await readLiveFacts({ client, namespace, secretNames, deliveredFrom, kinds, now });
  const covered = new Map<string, boolean>();
  const isCovered = (name: string) => {
    const known = covered.get(name) ?? scope.covers(name, labelsOf(name));
    covered.set(name, known);
    return known;
  };
  const withLabels = () => namespaces().map((name) => ({ name, labels: labelsOf(name) }));
  return { facts, namespaces: withLabels, gaps: [...(scope.gap === undefined ? [] : [scope.gap]), ...gaps], notRead, isCovered };
}
