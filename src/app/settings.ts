/** What the command line and the environment ask of the server. The only reader of the environment. */
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { EnforcerPolicy } from '../cluster/registration/compare.ts';
import type { WebhookPolicy } from '../cluster/registration/desired.ts';
import { allExcludedNamespaces } from '../cluster/registration/excluded-namespaces.ts';
import type { LogLevel } from '../observe/logger.ts';
import { termsMayOverlap } from '../rules/match/namespaces.ts';
import { ConfigurationError } from '../settings/configuration-error.ts';
import { type CollectedSettings, collectSettings, type Environment, type Flags, type SettingInputs } from '../settings/input.ts';
import { flagOf, type SettingName, type SettingValues, settingNames, settingOf } from '../settings/table.ts';

export type { Environment } from '../settings/input.ts';

export type Settings = {
  /** Files and folders with rules; empty where they come from ConfigMaps. */
  readonly rulePaths: readonly string[];
  /** Undefined where no cluster is asked for anything. */
  readonly cluster:
    | { readonly kubeconfig: string | undefined; readonly context: string | undefined; readonly namespace: string }
    | undefined;
  /** Whether ConfigMaps of any namespace may hold rules for it. */
  readonly namespaceRules: boolean;
  readonly tls:
    | { readonly mode: 'self'; readonly secretName: string }
    | { readonly mode: 'files'; readonly certificate: string; readonly key: string; readonly authorities: string | undefined }
    | { readonly mode: 'dev'; readonly directory: string };
  readonly service: string;
  readonly register: boolean;
  /** Namespaces whose requests the API server shall not bring, beside our own and the platform's. */
  readonly excludedNamespaces: readonly string[];
  readonly webhookPolicy: WebhookPolicy;
  /** What is done about the requirements that AKS adds to the webhook configurations. */
  readonly admissionsEnforcer: EnforcerPolicy;
  /** Files that name kinds of custom resources. */
  readonly extraKindFiles: readonly string[];
  readonly host: string;
  readonly port: number;
  readonly healthPort: number;
  readonly drainMilliseconds: number;
  readonly logLevel: LogLevel;
  /** A file, or `-` for standard output. */
  readonly auditLog: string;
  readonly dev: boolean;
  /** Those that differ from their defaults, as they were given: `--port 9443`, `REGKEEPER_PORT=9443`. */
  readonly told: readonly string[];
  /** Variables without effect, each with the flag that wins. */
  readonly overruled: CollectedSettings['overruled'];
  /** The flag or variable to correct, where a setting turns out not to work; the flag where none was given. */
  named(setting: SettingName): string;
};

const namespaceFile = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

/** @throws ConfigurationError with a line for each setting that is unknown or cannot be read, or else for each contradiction */
export function readSettings(flags: Flags, env: Environment): Settings {
  const { given, overruled, problems } = collectSettings(flags, env);
  refuse(problems);
  const values = withDefaults(given);
  const { rules, dev, namespace, kubeconfig, context } = values;
  const rulePaths = rules ?? [];
  const wantsCluster = kubeconfig !== undefined || context !== undefined || (!dev && env.KUBERNETES_SERVICE_HOST !== undefined);
  const cluster = rulePaths.length === 0 || wantsCluster ? { kubeconfig, context, namespace: namespace ?? ownNamespace(env) } : undefined;
  const tls = readTls(values, cluster !== undefined);
  refuse([...misfits(given), ...contradictions(given, values, tls, cluster)]);
  return {
    rulePaths,
    cluster,
    namespaceRules: values.namespaceRules,
    tls: tls as Settings['tls'],
    service: values.service,
    register: values.register,
    excludedNamespaces: values.excludeNamespaces ?? [],
    webhookPolicy: {
      failurePolicy: values.failurePolicy,
      timeoutSeconds: values.webhookTimeoutSeconds,
      namespaceSelector: values.namespaceSelector ?? [],
      matchCondition: values.matchCondition,
    },
    admissionsEnforcer: values.admissionsEnforcer,
    extraKindFiles: values.extraKinds ?? [],
    host: values.host,
    port: values.port,
    healthPort: values.healthPort,
    drainMilliseconds: values.drainSeconds * 1000,
    logLevel: values.logLevel,
    auditLog: values.auditLog,
    dev,
    told: toldOf(given, dev),
    overruled,
    named: (setting) => given[setting]?.by ?? flagOf(setting),
  };
}

function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new ConfigurationError(problems.join('\n'));
}

function withDefaults(given: SettingInputs): SettingValues {
  const dev = given.dev?.value === true;
  return Object.fromEntries(settingNames.map((name) => [name, given[name] ? given[name].value : defaultValue(name, dev)])) as SettingValues;
}

function defaultValue(name: SettingName, dev: boolean): unknown {
  const { default: usual, devDefault = usual } = settingOf(name);
  return dev ? devDefault : usual;
}

/** Incomplete where that is told as a contradiction. */
function readTls({ tls, tlsCert, tlsKey, tlsCa, service, dev }: SettingValues, hasCluster: boolean) {
  const files = tlsCert !== undefined || tlsKey !== undefined || tlsCa !== undefined;
  switch (tls ?? (files ? 'files' : dev || !hasCluster ? 'dev' : 'self')) {
    case 'files':
      return { mode: 'files', certificate: tlsCert, key: tlsKey, authorities: tlsCa } as const;
    case 'self':
      return { mode: 'self', secretName: `${service}-tls` } as const;
    case 'dev':
      return { mode: 'dev', directory: 'certs/dev' } as const;
  }
}

/** What the table says of settings that need or exclude each other. */
function misfits(given: SettingInputs): string[] {
  const of = (name: string) => given[name as SettingName];
  return settingNames.flatMap((name) => {
    const { goesWith, excludes = [] } = settingOf(name);
    const one = given[name];
    if (!one || one.value === false) return [];
    const problems = excludes.flatMap((other) =>
      of(other)?.value ? [`${one.written} contradicts ${of(other)?.written}: leave one out`] : [],
    );
    if (!goesWith) return problems;
    const other = of(goesWith.setting);
    const wanted = `${flagOf(goesWith.setting as SettingName)}${goesWith.value === true ? '' : ` ${goesWith.value}`}`;
    if (other && other.value !== goesWith.value) problems.push(`${one.written} goes with ${wanted}, not with ${other.written}`);
    if (!other && goesWith.value === true) problems.push(`${one.written} goes with ${wanted}, which is not given`);
    return problems;
  });
}

function contradictions(
  given: SettingInputs,
  values: SettingValues,
  tls: ReturnType<typeof readTls>,
  cluster: Settings['cluster'],
): readonly string[] {
  const problems: string[] = [];
  const { register, namespaceSelector, excludeNamespaces = [], port, healthPort } = values;
  const written = (name: SettingName) => given[name]?.written ?? `${flagOf(name)} ${values[name]}`;
  if (register && !cluster) problems.push(`${written('register')} needs a cluster: give --kubeconfig, or run without --rules and --dev`);
  if (tls.mode === 'self' && !cluster) {
    problems.push(`${written('tls')} keeps its certificate in a Secret and needs a cluster: give --kubeconfig, or use --tls dev`);
  }
  if (tls.mode === 'files') {
    const why = given.tls
      ? written('tls')
      : (['tlsCert', 'tlsKey', 'tlsCa'] as const).flatMap((name) => given[name]?.written ?? []).join(' ');
    if (tls.certificate === undefined || tls.key === undefined) problems.push(`${why} needs both --tls-cert FILE and --tls-key FILE`);
    if (register && tls.authorities === undefined) {
      problems.push(`${written('register')} tells the API server by which authority to verify us: give it with --tls-ca FILE`);
    }
  }
  if (port === healthPort && port !== 0) {
    problems.push(`${written('port')} and ${written('healthPort')} are the same port: choose another for one of them`);
  }
  if (cluster && namespaceSelector) {
    const never = {
      key: 'kubernetes.io/metadata.name',
      operator: 'NotIn',
      values: allExcludedNamespaces(cluster.namespace, excludeNamespaces),
    } as const;
    const term = { kind: 'labels', rank: 0, requirements: [...namespaceSelector, never] } as const;
    if (!termsMayOverlap(term, term)) problems.push(`${written('namespaceSelector')} selects no namespace that is not excluded`);
  }
  return problems;
}

function toldOf(given: SettingInputs, dev: boolean): readonly string[] {
  return settingNames.flatMap((name) => {
    const one = given[name];
    return one && !isDeepStrictEqual(one.value, defaultValue(name, dev)) ? [one.written] : [];
  });
}

function ownNamespace(env: Environment): string {
  if (env.POD_NAMESPACE) return env.POD_NAMESPACE;
  try {
    return readFileSync(namespaceFile, 'utf8').trim();
  } catch {
    return 'regkeeper';
  }
}
