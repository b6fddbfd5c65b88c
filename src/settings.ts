/** What the command line and the environment ask of the server. The only reader of the environment. */
import { readFileSync } from 'node:fs';
import { ConfigurationError } from './cluster/configuration-error.ts';
import type { LogLevel } from './telemetry/logger.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Options of `regkeeper serve` as commander leaves them. */
export type ServeOptions = {
  readonly rules?: readonly string[];
  readonly dev?: boolean;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
  readonly tls?: 'self' | 'files' | 'dev';
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  readonly service: string;
  readonly register?: boolean;
  readonly excludeNamespaces?: readonly string[];
  readonly extraKinds?: readonly string[];
  readonly namespaceRules?: boolean;
  readonly host?: string;
  readonly port: number;
  readonly healthPort: number;
  readonly drainSeconds?: number;
  readonly logLevel: LogLevel;
  readonly auditLog?: string;
};

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
};

const namespaceFile = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

/** @throws ConfigurationError when options contradict each other */
export function readSettings(options: ServeOptions, env: Environment): Settings {
  const dev = options.dev === true;
  const rulePaths = options.rules ?? (dev ? ['deploy/examples/rules'] : []);
  const wantsCluster =
    options.kubeconfig !== undefined || options.context !== undefined || (!dev && env.KUBERNETES_SERVICE_HOST !== undefined);
  const cluster =
    rulePaths.length === 0 || wantsCluster
      ? { kubeconfig: options.kubeconfig, context: options.context, namespace: options.namespace ?? ownNamespace(env) }
      : undefined;

  const tls = readTls(options, cluster !== undefined, dev);
  if (options.register === true && cluster === undefined) {
    throw new ConfigurationError('--register needs a cluster: give --kubeconfig, or run without --rules');
  }
  if (options.namespaceRules === true && (cluster === undefined || rulePaths.length > 0)) {
    throw new ConfigurationError('--namespace-rules reads ConfigMaps of a cluster: run without --rules and --dev');
  }
  return {
    rulePaths,
    cluster,
    namespaceRules: options.namespaceRules === true,
    tls,
    service: options.service,
    register: options.register === true,
    excludedNamespaces: options.excludeNamespaces ?? [],
    extraKindFiles: options.extraKinds ?? [],
    // Docker and Kubernetes hand over IPv4 and IPv6; on a developer's machine nobody else has business here.
    host: options.host ?? (dev ? '127.0.0.1' : '::'),
    port: options.port,
    healthPort: options.healthPort,
    drainMilliseconds: (options.drainSeconds ?? (dev ? 0 : 10)) * 1000,
    logLevel: options.logLevel,
    auditLog: options.auditLog ?? '-',
    dev,
  };
}

function readTls(options: ServeOptions, hasCluster: boolean, dev: boolean): Settings['tls'] {
  const { tlsCert, tlsKey, tlsCa } = options;
  const given = tlsCert !== undefined || tlsKey !== undefined || tlsCa !== undefined;
  const mode = options.tls ?? (given ? 'files' : dev || !hasCluster ? 'dev' : 'self');
  if (given && mode !== 'files')
    throw new ConfigurationError(`--tls-cert, --tls-key and --tls-ca go with --tls files, not with --tls ${mode}`);
  if (mode === 'files') {
    if (tlsCert === undefined || tlsKey === undefined)
      throw new ConfigurationError('--tls files needs both --tls-cert FILE and --tls-key FILE');
    if (options.register === true && tlsCa === undefined) {
      throw new ConfigurationError('--register tells the API server by which authority to verify us: give it with --tls-ca FILE');
    }
    return { mode, certificate: tlsCert, key: tlsKey, authorities: tlsCa };
  }
  if (mode === 'self') {
    if (!hasCluster)
      throw new ConfigurationError('--tls self keeps its certificate in a Secret and needs a cluster: give --kubeconfig, or use --tls dev');
    return { mode, secretName: `${options.service}-tls` };
  }
  return { mode, directory: 'certs/dev' };
}

function ownNamespace(env: Environment): string {
  if (env.POD_NAMESPACE) return env.POD_NAMESPACE;
  try {
    return readFileSync(namespaceFile, 'utf8').trim();
  } catch {
    return 'regkeeper';
  }
}
