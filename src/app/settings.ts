/** The server's settings from command line and environment. Nothing else reads the environment. */
import { existsSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { EnforcerPolicy } from '../cluster/registration/configuration-difference.ts';
import type { WebhookPolicy } from '../cluster/registration/desired.ts';
import { allExcludedNamespaces } from '../cluster/registration/excluded-namespaces.ts';
import { listOf } from '../image/wording.ts';
import type { LogFormat, LogLevel } from '../observe/logger.ts';
import { termsMayOverlap } from '../rules/match/namespaces.ts';
import { ConfigurationError } from '../settings/configuration-error.ts';
import { type CollectedSettings, collectSettings, type Environment, type Flags, type SettingInputs } from '../settings/input.ts';
import { flagOf, type SettingName, type SettingValues, settingNames, settingOf } from '../settings/table.ts';

export type { Environment } from '../settings/input.ts';

export type Settings = {
  /** Files and folders with rules. Empty if the rules come from ConfigMaps. */
  readonly rulePaths: readonly string[];
  /** Undefined if the server runs without a cluster. */
  readonly cluster:
    | { readonly kubeconfig: string | undefined; readonly context: string | undefined; readonly namespace: string }
    | undefined;
  /** Whether Events are written. Always false without a cluster. */
  readonly events: boolean;
  /** Whether every namespace may have rules in ConfigMaps, for itself only. */
  readonly namespaceRules: boolean;
  readonly tls:
    | { readonly mode: 'self'; readonly secretName: string }
    | { readonly mode: 'files'; readonly certificate: string; readonly key: string; readonly ca: string | undefined }
    | { readonly mode: 'dev'; readonly directory: string };
  readonly service: string;
  readonly manageWebhooks: boolean;
  /** Namespaces whose requests the API server does not send, in addition to our own and the platform's. */
  readonly excludedNamespaces: readonly string[];
  readonly webhookPolicy: WebhookPolicy;
  /** How to treat the requirements that AKS adds to the webhook configurations. */
  readonly admissionsEnforcer: EnforcerPolicy;
  /** Files that declare kinds of custom resources with images. */
  readonly customKindFiles: readonly string[];
  readonly host: string;
  readonly port: number;
  readonly healthPort: number;
  /** PEM file with the CA of the API servers' client certificates. Undefined if callers need not authenticate. */
  readonly clientCaFile: string | undefined;
  readonly shutdownDelayMilliseconds: number;
  readonly logLevel: LogLevel;
  /** Undefined: text if standard error is a terminal, otherwise JSON. */
  readonly logFormat: LogFormat | undefined;
  /** A file, or `-` for standard output. */
  readonly auditLog: string;
  readonly dev: boolean;
  /** Settings that differ from their defaults, as the operator wrote them: `--port 9443`, `REGKEEPER_PORT=9443`. */
  readonly nonDefaults: readonly string[];
  /** Variables without effect, each with the flag that takes precedence. */
  readonly ignoredVariables: CollectedSettings['ignoredVariables'];
  /** The flag or variable that set it, for error messages. The flag if the setting has its default. */
  nameOf(setting: SettingName): string;
};

const namespaceFile = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

/** @throws ConfigurationError with a line for each setting that is unknown or invalid, or otherwise for each contradiction */
export function readSettings(flags: Flags, env: Environment): Settings {
  const { inputs, ignoredVariables, problems } = collectSettings(flags, env);
  throwIfAny(problems);
  const values = withDefaults(inputs);
  const { rules, dev, namespace, kubeconfig, context } = values;
  const rulePaths = rules ?? [];
  const usesCluster = kubeconfig !== undefined || context !== undefined || (!dev && env.KUBERNETES_SERVICE_HOST !== undefined);
  const cluster = rulePaths.length === 0 || usesCluster ? { kubeconfig, context, namespace: namespace ?? ownNamespace(env) } : undefined;
  const tls = readTls(values, cluster !== undefined);
  const exampleRules = dev && inputs.rules === undefined ? rulePaths.find((path) => !existsSync(path)) : undefined;
  if (exampleRules !== undefined) {
    throw new ConfigurationError(
      `${inputs.dev?.written} uses the example rules in ${exampleRules}, which do not exist in this directory. Run it in the root of the repository, or set --rules`,
    );
  }
  throwIfAny([...findDependencyProblems(inputs), ...findContradictions(inputs, values, tls, cluster)]);
  return {
    rulePaths,
    cluster,
    events: cluster !== undefined && values.events === 'on',
    namespaceRules: values.namespaceRules,
    tls: tls as Settings['tls'],
    service: values.service,
    manageWebhooks: values.manageWebhooks,
    excludedNamespaces: values.excludeNamespaces ?? [],
    webhookPolicy: {
      failurePolicy: values.failurePolicy,
      timeoutSeconds: values.webhookTimeoutSeconds,
      namespaceSelector: values.namespaceSelector ?? [],
      matchCondition: values.matchCondition,
    },
    admissionsEnforcer: values.admissionsEnforcer,
    customKindFiles: values.customKinds ?? [],
    host: values.host,
    port: values.port,
    healthPort: values.healthPort,
    clientCaFile: values.clientCa,
    shutdownDelayMilliseconds: values.shutdownDelaySeconds * 1000,
    logLevel: values.logLevel,
    logFormat: values.logFormat,
    auditLog: values.auditLog,
    dev,
    nonDefaults: listNonDefaults(inputs, dev),
    ignoredVariables,
    nameOf: (setting) => inputs[setting]?.source ?? flagOf(setting),
  };
}

export function throwIfAny(problems: readonly string[]): void {
  if (problems.length > 0) throw new ConfigurationError(problems.join('\n'));
}

export function withDefaults(inputs: SettingInputs): SettingValues {
  const dev = inputs.dev?.value === true;
  return Object.fromEntries(
    settingNames.map((name) => [name, inputs[name] ? inputs[name].value : defaultValue(name, dev)]),
  ) as SettingValues;
}

function defaultValue(name: SettingName, dev: boolean): unknown {
  const { default: usual, devDefault = usual } = settingOf(name);
  return dev ? devDefault : usual;
}

/** May be incomplete. `findContradictions` reports that. */
function readTls({ tls, tlsCert, tlsKey, tlsCa, service, dev }: SettingValues, hasCluster: boolean) {
  const files = tlsCert !== undefined || tlsKey !== undefined || tlsCa !== undefined;
  switch (tls ?? (files ? 'files' : dev || !hasCluster ? 'dev' : 'self')) {
    case 'files':
      return { mode: 'files', certificate: tlsCert, key: tlsKey, ca: tlsCa } as const;
    case 'self':
      return { mode: 'self', secretName: `${service}-tls` } as const;
    case 'dev':
      return { mode: 'dev', directory: 'certs/dev' } as const;
  }
}

/** Violations of `requires` and `excludes` in the table of settings. */
function findDependencyProblems(inputs: SettingInputs): string[] {
  const of = (name: string) => inputs[name as SettingName];
  return settingNames.flatMap((name) => {
    const { requires, excludes = [] } = settingOf(name);
    const one = inputs[name];
    if (!one || one.value === false) return [];
    const problems = excludes.flatMap((other) =>
      of(other)?.value ? [`${one.written} and ${of(other)?.written} cannot be used together. Remove one of them`] : [],
    );
    if (!requires) return problems;
    const other = of(requires.setting);
    const required = `${flagOf(requires.setting as SettingName)}${requires.value === true ? '' : ` ${requires.value}`}`;
    if (other && other.value !== requires.value) problems.push(`${one.written} requires ${required}, but ${other.written} is set`);
    if (!other && requires.value === true) problems.push(`${one.written} requires ${required}, which is not set`);
    return problems;
  });
}

function findContradictions(
  inputs: SettingInputs,
  values: SettingValues,
  tls: ReturnType<typeof readTls>,
  cluster: Settings['cluster'],
): readonly string[] {
  const problems: string[] = [];
  const { manageWebhooks, namespaceSelector, excludeNamespaces = [], port, healthPort } = values;
  const written = (name: SettingName) => inputs[name]?.written ?? `${flagOf(name)} ${values[name]}`;
  if (manageWebhooks && !cluster)
    problems.push(`${written('manageWebhooks')} requires a cluster. Set --kubeconfig, or run without --rules and --dev`);
  if (tls.mode === 'self' && !cluster) {
    problems.push(`${written('tls')} stores the certificate in a Secret, which requires a cluster. Set --kubeconfig, or use --tls dev`);
  }
  if (tls.mode === 'files') {
    const why = inputs.tls
      ? written('tls')
      : (['tlsCert', 'tlsKey', 'tlsCa'] as const).flatMap((name) => inputs[name]?.written ?? []).join(' ');
    const missing = [...(tls.certificate === undefined ? ['--tls-cert FILE'] : []), ...(tls.key === undefined ? ['--tls-key FILE'] : [])];
    if (missing.length > 0) problems.push(`${why} requires ${listOf(missing, 'and')}`);
    if (manageWebhooks && tls.ca === undefined) {
      problems.push(
        `${written('manageWebhooks')} requires the CA that signed the certificate, so that the API server can verify it. Set the CA with --tls-ca FILE`,
      );
    }
  }
  if (port === healthPort && port !== 0) {
    problems.push(`${written('port')} and ${written('healthPort')} are the same port. Choose different ports`);
  }
  if (cluster && namespaceSelector) {
    const never = {
      key: 'kubernetes.io/metadata.name',
      operator: 'NotIn',
      values: allExcludedNamespaces(cluster.namespace, excludeNamespaces),
    } as const;
    const term = { kind: 'labels', rank: 0, requirements: [...namespaceSelector, never] } as const;
    if (!termsMayOverlap(term, term))
      problems.push(
        `${written('namespaceSelector')} matches no namespace, or only excluded ones. Correct the selector, or exclude fewer namespaces`,
      );
  }
  return problems;
}

export function listNonDefaults(inputs: SettingInputs, dev: boolean): readonly string[] {
  return settingNames.flatMap((name) => {
    const one = inputs[name];
    return one && !isDeepStrictEqual(one.value, defaultValue(name, dev)) ? [one.written] : [];
  });
}

export function ownNamespace(env: Environment): string {
  if (env.POD_NAMESPACE) return env.POD_NAMESPACE;
  try {
    return readFileSync(namespaceFile, 'utf8').trim();
  } catch {
    return 'regkeeper';
  }
}
