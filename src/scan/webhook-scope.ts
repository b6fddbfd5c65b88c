/** Which namespaces the webhooks receive, from their live configuration. An object elsewhere is never denied. */

import { imageCondition, platformCondition } from '../cluster/registration/desired.ts';
import { allExcludedNamespaces } from '../cluster/registration/excluded-namespaces.ts';
import { apiOfConfigurations, isOurs, ourName } from '../cluster/registration/live-configuration.ts';
import { type ApiClient, isNotFound } from '../kube/api-client.ts';
import { isObject, listAt, textAt, valueAt } from '../object/json.ts';
import { labelsMatch } from '../rules/match/namespaces.ts';
import type { LabelRequirement } from '../rules/rule-set.ts';
import { describeNotRead } from './not-read.ts';

export type WebhookScope = {
  /** `labels` are undefined if they are not known. Then the namespace counts as covered. */
  covers(namespace: string, labels: Readonly<Record<string, string>> | undefined): boolean;
  /** The resources that the webhooks receive, as kubectl names them. Undefined if they are not registered. */
  readonly resources: ReadonlySet<string> | undefined;
  /** A CEL expression may exclude more, which cannot be known. */
  readonly hasMatchCondition: boolean;
  /** Why the configuration could not be read. Then at least the assumed namespaces are excluded. */
  readonly gap?: string;
};

export type ScopeOptions = {
  /** The namespace of regkeeper. */
  readonly namespace: string;
  /** Whether OpenShift reserves the namespaces that begin with `openshift-`. */
  readonly isOpenshift: boolean;
};

/** While the webhooks are not registered, or cannot be read, the namespaces that are excluded by default are assumed. */
export async function readWebhookScope(client: ApiClient, options: ScopeOptions): Promise<WebhookScope> {
  const resource = 'validatingwebhookconfigurations';
  const path = `/apis/${apiOfConfigurations}/${resource}/${ourName}`;
  try {
    const ours = listAt(await client.get<unknown>(path), ['webhooks']).filter(isEvaluation);
    return ours.length === 0 ? usualScope(options) : scopeOf(ours);
  } catch (error) {
    if (isNotFound(error)) return usualScope(options);
    const { message } = describeNotRead(error, { resource, namespace: undefined, path, verb: 'get' });
    return { ...usualScope(options), gap: `cannot determine which namespaces the webhooks match: ${message}` };
  }
}

function usualScope({ namespace, isOpenshift }: ScopeOptions): WebhookScope {
  const excluded = new Set(allExcludedNamespaces(namespace, []));
  return {
    covers: (name) => !excluded.has(name) && !(isOpenshift && isOfPlatform(name)),
    resources: undefined,
    hasMatchCondition: false,
  };
}

/** The entry of a kind with images. The guard of the rules receives all namespaces. */
function isEvaluation(entry: unknown): boolean {
  const name = textAt(entry, ['name']) ?? '';
  return isOurs(name) && name.endsWith('.validate.regkeeper.io');
}

/** All entries have the same selector and conditions, apart from the fields of their kind. */
function scopeOf(entries: readonly unknown[]): WebhookScope {
  const [entry] = entries;
  const conditions = listAt(entry, ['matchConditions']).map((condition) => textAt(condition, ['name']) ?? '');
  const requirements = requirementsOf(valueAt(entry, ['namespaceSelector']));
  const excludesPlatform = conditions.includes(platformCondition);
  return {
    covers: (name, labels) => !(excludesPlatform && isOfPlatform(name)) && labelsMatch(requirements, { namespace: name, labels }) !== false,
    resources: new Set(entries.flatMap(resourcesOf)),
    hasMatchCondition: conditions.some((name) => name !== platformCondition && name !== imageCondition),
  };
}

function isOfPlatform(namespace: string): boolean {
  return namespace === 'openshift' || namespace.startsWith('openshift-');
}

function requirementsOf(selector: unknown): readonly LabelRequirement[] {
  const labels = valueAt(selector, ['matchLabels']);
  const exact = Object.entries(isObject(labels) ? labels : {}).map(
    ([key, value]): LabelRequirement => ({ key, operator: 'In', values: [String(value)] }),
  );
  const expressions = listAt(selector, ['matchExpressions']).map((each) => ({
    key: textAt(each, ['key']) ?? '',
    operator: textAt(each, ['operator']) as LabelRequirement['operator'],
    values: listAt(each, ['values']).map(String),
  }));
  return [...exact, ...expressions];
}

/** Without subresources. */
function resourcesOf(entry: unknown): readonly string[] {
  return listAt(entry, ['rules']).flatMap((rule) => {
    const groups = listAt(rule, ['apiGroups']).map(String);
    const resources = listAt(rule, ['resources']).map(String);
    return groups.flatMap((group) => resources.map((resource) => (group === '' ? resource : `${resource}.${group}`)));
  });
}
