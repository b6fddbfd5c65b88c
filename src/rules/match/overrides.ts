import { findTies } from '../compile/ties.ts';
import { type Origin, type Problem, renderOrigin } from '../language/problem.ts';
import type { Answer, NamespaceContext, NamespaceSettings, Override, SettingsAnswer } from '../rule-set.ts';
import { NamespaceIndex } from './namespace-index.ts';
import { renderSelector } from './namespaces.ts';

/**
 * Prepares the question which settings hold in a namespace: for each, the most specific override that writes it, else what is written for
 * the whole cluster. Where labels are unknown, overrides that select by them only make `mode` and `unconfigured` stricter; `inject` stays.
 */
export function indexOverrides(settings: NamespaceSettings, overrides: readonly Override[]): (place: NamespaceContext) => SettingsAnswer {
  const { mode, unconfigured, inject } = settings;
  const forCluster: SettingsAnswer = { value: { mode, unconfigured, inject } };
  if (overrides.length === 0) return () => forCluster;

  const modes = settingIndex('mode', overrides);
  const unconfigureds = settingIndex('unconfigured', overrides);
  const injects = settingIndex('inject', overrides);
  return (place) => {
    const here = settle(modes, mode, place, (values) => strictestOf(['enforce', 'warn', 'audit'], values));
    const unnamed = settle(unconfigureds, unconfigured, place, (values) => strictestOf(['deny', 'warn', 'allow'], values));
    const written = settle(injects, inject, place, ([sure]) => sure ?? inject);
    const unsure = {
      ...(here.unsure && { mode: here.unsure }),
      ...(unnamed.unsure && { unconfigured: unnamed.unsure }),
      ...(written.unsure && { inject: written.unsure }),
    };
    const value = { mode: here.value, unconfigured: unnamed.value, inject: written.value };
    return Object.keys(unsure).length > 0 ? { value, unsure } : { value };
  };
}

/** Two overrides that write different values of one setting and tie; each problem stands at the later one. */
export function findOverrideTies(overrides: readonly Override[]): readonly Problem[] {
  return overridable.flatMap((name) => {
    const writing = overrides.filter((override) => override[name] !== undefined);
    return findTies(writing, (one, other) => one[name] !== other[name]).map(
      ({ later: { entry: later }, earlier: { entry: earlier } }): Problem => {
        const message =
          `${name} is ${later[name]} here for ${renderSelector(later.namespaces)}, and ${earlier[name]} for ${renderSelector(earlier.namespaces)} ` +
          `in ${renderOrigin(earlier.origin)}; a namespace can be in both, and neither says it more specifically: ` +
          `write ${name} in one of them, or name its namespaces more exactly`;
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

/** `choose` takes the value that is certain first, then those that may hold instead. */
function settle<Value extends string>(
  index: NamespaceIndex<Written<Value>>,
  forCluster: Value,
  place: NamespaceContext,
  choose: (values: readonly Value[]) => Value,
): Answer<Value> {
  const found = index.find(place);
  const sure = found?.entry.value ?? forCluster;
  const others = index.undecided(place, found?.rank ?? 0).filter(({ entry }) => entry.value !== sure);
  const [first] = others;
  return first ? { value: choose([sure, ...others.map(({ entry }) => entry.value)]), unsure: first.entry.origin } : { value: sure };
}

function strictestOf<Value extends string>(strictestFirst: readonly Value[], values: readonly Value[]): Value {
  return strictestFirst.find((value) => values.includes(value)) ?? (strictestFirst[0] as Value);
}
