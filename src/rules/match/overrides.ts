/** Finds the settings in a namespace, and overrides that contradict each other. */
import { findTies, type TieBudget } from '../compile/ties.ts';
import { type Origin, type Problem, renderOrigin } from '../language/problem.ts';
import type { Answer, NamespaceContext, NamespaceSettings, Override, SettingsAnswer } from '../rule-set.ts';
import { NamespaceIndex } from './namespace-index.ts';
import { describeSelector } from './namespaces.ts';

/**
 * Returns a function that finds the settings in a namespace: for each setting the most specific override that contains it, else the
 * cluster's setting. If labels are unknown, overrides that select by them can only make `mode` and `unconfigured` stricter. They do not
 * change `inject`.
 */
export function indexOverrides(settings: NamespaceSettings, overrides: readonly Override[]): (context: NamespaceContext) => SettingsAnswer {
  const { mode, unconfigured, inject } = settings;
  const forCluster: SettingsAnswer = { value: { mode, unconfigured, inject } };
  if (overrides.length === 0) return () => forCluster;

  const modeIndex = settingIndex('mode', overrides);
  const unconfiguredIndex = settingIndex('unconfigured', overrides);
  const injectIndex = settingIndex('inject', overrides);
  return (context) => {
    const resolvedMode = resolveSetting(modeIndex, mode, context, (values) => strictestOf(['enforce', 'warn', 'audit'], values));
    const resolvedUnconfigured = resolveSetting(unconfiguredIndex, unconfigured, context, (values) =>
      strictestOf(['deny', 'warn', 'allow'], values),
    );
    const resolvedInject = resolveSetting(injectIndex, inject, context, ([certain]) => certain ?? inject);
    const unsure = {
      ...(resolvedMode.unsure && { mode: resolvedMode.unsure }),
      ...(resolvedUnconfigured.unsure && { unconfigured: resolvedUnconfigured.unsure }),
      ...(resolvedInject.unsure && { inject: resolvedInject.unsure }),
    };
    const value = { mode: resolvedMode.value, unconfigured: resolvedUnconfigured.value, inject: resolvedInject.value };
    return Object.keys(unsure).length > 0 ? { value, unsure } : { value };
  };
}

/** Overrides that tie and have different values for one setting. Each problem has the position of the later override. */
export function findOverrideTies(overrides: readonly Override[], budget?: TieBudget): readonly Problem[] {
  return overridable.flatMap((name) => {
    const writing = overrides.filter((override) => override[name] !== undefined);
    if (new Set(writing.map((override) => override[name])).size < 2) return [];
    return findTies(writing, (one, other) => one[name] !== other[name], budget).map(
      ({ later: { entry: later }, earlier: { entry: earlier } }): Problem => {
        const message =
          `${name} is ${later[name]} here for ${describeSelector(later.namespaces)}, but ${earlier[name]} for ${describeSelector(earlier.namespaces)} ` +
          `in ${renderOrigin(earlier.origin)}. A namespace can match both, and neither is more specific. ` +
          `Set ${name} in one of them, or make the namespaces of one more specific.`;
        return { code: 'override-tie', message, origin: later.origin, related: earlier.origin };
      },
    );
  });
}

type SettingName = keyof NamespaceSettings;
const overridable: readonly SettingName[] = ['mode', 'unconfigured', 'inject'];

type Written<Value> = { readonly namespaces: Override['namespaces']; readonly value: Value; readonly origin: Origin };

function settingIndex<Name extends SettingName>(
  name: Name,
  overrides: readonly Override[],
): NamespaceIndex<Written<NamespaceSettings[Name]>> {
  const index = new NamespaceIndex<Written<NamespaceSettings[Name]>>();
  for (const { namespaces, origin, [name]: value } of overrides) {
    if (value !== undefined) index.add({ namespaces, origin, value: value as NamespaceSettings[Name] });
  }
  return index;
}

/** `choose` receives the certain value first, then the values that may apply instead. */
function resolveSetting<Value extends string>(
  index: NamespaceIndex<Written<Value>>,
  forCluster: Value,
  context: NamespaceContext,
  choose: (values: readonly Value[]) => Value,
): Answer<Value> {
  const found = index.find(context);
  const certain = found?.entry.value ?? forCluster;
  const others = index.undecided(context, found?.rank ?? 0).filter(({ entry }) => entry.value !== certain);
  const [first] = others;
  return first ? { value: choose([certain, ...others.map(({ entry }) => entry.value)]), unsure: first.entry.origin } : { value: certain };
}

function strictestOf<Value extends string>(strictestFirst: readonly Value[], values: readonly Value[]): Value {
  return strictestFirst.find((value) => values.includes(value)) ?? (strictestFirst[0] as Value);
}
