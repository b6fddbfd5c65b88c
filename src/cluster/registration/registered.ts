/** What replicas have registered, as the live entries show it. Used for APIs that do not answer. */
import { valueAt } from '../../object/json.ts';
import { platformCondition, type RegisteredKind } from './desired.ts';
import { isWrittenByUs, type LiveConfiguration } from './live-configuration.ts';

/** The entry points of the kind in entries whose rules a replica wrote, or undefined if there are none. */
export function registeredEntryPoints(
  live: readonly LiveConfiguration[],
  { group, version, entryPoints }: RegisteredKind,
): string[] | undefined {
  const rules = live.flatMap((each) =>
    (each.webhooks ?? []).flatMap((entry) => (isWrittenByUs(each, entry.name, ['f:rules']) ? entry.rules : [])),
  );
  const found = rules.flatMap((rule) => {
    const matches = (field: string, value: string) => valueAt(rule, [field, 0]) === value;
    const resource = valueAt(rule, ['resources', 0]);
    return matches('apiGroups', group) && matches('apiVersions', version) && typeof resource === 'string' ? [resource] : [];
  });
  const registered = entryPoints.map(({ resource }) => resource).filter((resource) => found.includes(resource));
  return registered.length > 0 ? registered : undefined;
}

/** Whether a replica registered for OpenShift, or undefined if there are no entries of ours. */
export function registeredOpenshift(live: readonly LiveConfiguration[]): boolean | undefined {
  const entries = live.flatMap((each) => (each.webhooks ?? []).map(({ name }) => ({ each, name })));
  const written = (path: readonly string[]) => entries.some(({ each, name }) => isWrittenByUs(each, name, path));
  if (!written(['f:rules'])) return undefined;
  return written(['f:matchConditions', `k:{"name":"${platformCondition}"}`]);
}
