/** The settings of `regkeeper deliver`, from command line and environment. */
import type { LabelRequirement } from '../rules/rule-set.ts';
import { collectSettings, type Flags } from '../settings/input.ts';
import { deliverySettingNames, flagOf } from '../settings/table.ts';
import { type Environment, listNonDefaults, ownNamespace, type Settings, throwIfAny, withDefaults } from './settings.ts';

type Shared =
  | 'rulePaths'
  | 'excludedNamespaces'
  | 'customKindFiles'
  | 'host'
  | 'healthPort'
  | 'logLevel'
  | 'logFormat'
  | 'auditLog'
  | 'nonDefaults'
  | 'ignoredVariables'
  | 'nameOf';

export type DeliverySettings = Pick<Settings, Shared> & {
  readonly cluster: NonNullable<Settings['cluster']>;
  /** Labels that a namespace must have to get secrets. Empty for every namespace. */
  readonly namespaceSelector: readonly LabelRequirement[];
  /** Rules of namespaces never entitle. */
  readonly namespaceRules: false;
  readonly dev: false;
};

/** @throws ConfigurationError with a line for each setting that is unknown or invalid */
export function readDeliverySettings(flags: Flags, env: Environment): DeliverySettings {
  const { inputs, ignoredVariables, problems } = collectSettings(flags, env, deliverySettingNames);
  throwIfAny(problems);
  const values = withDefaults(inputs);
  const { kubeconfig, context, namespace } = values;
  return {
    rulePaths: values.rules ?? [],
    cluster: { kubeconfig, context, namespace: namespace ?? ownNamespace(env) },
    excludedNamespaces: values.excludeNamespaces ?? [],
    namespaceSelector: values.namespaceSelector ?? [],
    customKindFiles: values.customKinds ?? [],
    host: values.host,
    healthPort: values.healthPort,
    logLevel: values.logLevel,
    logFormat: values.logFormat,
    auditLog: values.auditLog,
    nonDefaults: listNonDefaults(inputs, false),
    ignoredVariables,
    nameOf: (setting) => inputs[setting]?.source ?? flagOf(setting),
    namespaceRules: false,
    dev: false,
  };
}
