/** Every setting of `regkeeper serve`. This table generates flags, variables and --help, and a test compares docs/operations.md with it. */
import { parseLabelSelector } from '../rules/language/label-selector.ts';

export type Reading<Value> = { readonly ok: true; readonly value: Value } | { readonly ok: false; readonly problem: string };

export type Setting = {
  /** Heading in --help. */
  readonly group: 'Rules' | 'Cluster' | 'Certificate' | 'Registration' | 'Server';
  /** The description in --help. */
  readonly description: string;
  /** The placeholder for the value in --help. A setting without one is a switch. */
  readonly placeholder?: string;
  readonly short?: string;
  /** Accepts several values, separated by blanks in flags and by commas in variables. */
  readonly multiple?: true;
  /** Parses one value. The problem follows the setting as the operator wrote it, as in `--port x: …`. */
  readonly read?: (text: string) => Reading<unknown>;
  /** The value if the setting is not set. */
  readonly default?: unknown;
  /** The default with --dev, if it is different. */
  readonly devDefault?: unknown;
  /** The default in words, if it is not a single value. */
  readonly defaultText?: string;
  /** Requires that the other setting has this value. */
  readonly requires?: { readonly setting: string; readonly value: unknown };
  /** Cannot be combined with these settings. */
  readonly excludes?: readonly string[];
};

const registration = { group: 'Registration', requires: { setting: 'manageWebhooks', value: true } } as const;
const certificateFile = {
  group: 'Certificate',
  placeholder: 'file',
  read: readText,
  requires: { setting: 'tls', value: 'files' },
} as const;

export const settingTable = {
  rules: {
    group: 'Rules',
    description: 'rules from files and folders, watched, instead of ConfigMaps',
    placeholder: 'path',
    multiple: true,
    read: readText,
    devDefault: ['deploy/examples/rules'],
    defaultText: 'ConfigMaps of the namespace',
  },
  namespaceRules: {
    group: 'Rules',
    description: 'namespaces may have rules of their own, in their ConfigMaps labelled regkeeper.io/rules: namespace; they never loosen',
    default: false,
    excludes: ['rules', 'dev'],
  },
  customKinds: {
    group: 'Rules',
    description: 'custom resources that hold images, and where: files as in docs/kinds.md',
    placeholder: 'files',
    multiple: true,
    read: readText,
  },
  kubeconfig: {
    group: 'Cluster',
    description: 'the cluster to watch',
    placeholder: 'file',
    read: readText,
    defaultText: 'KUBECONFIG, ~/.kube/config, the service account of the pod',
  },
  context: {
    group: 'Cluster',
    description: 'context of the kubeconfig',
    placeholder: 'name',
    read: readText,
    defaultText: "the kubeconfig's own",
  },
  namespace: {
    group: 'Cluster',
    description: 'namespace of regkeeper itself',
    placeholder: 'name',
    short: '-n',
    read: readDnsLabel,
    defaultText: 'POD_NAMESPACE, the namespace of the pod, regkeeper',
  },
  service: { group: 'Cluster', description: 'Service that leads here', placeholder: 'name', read: readDnsLabel, default: 'regkeeper' },
  tls: {
    group: 'Certificate',
    description: 'where the certificate comes from: self, a Secret of our own; files; or dev, certs/dev',
    placeholder: 'mode',
    read: readChoice('self', 'files', 'dev'),
    defaultText: 'files with --tls-cert; else self with a cluster, dev without',
  },
  tlsCert: { ...certificateFile, description: 'certificate chain in PEM, reloaded when it changes' },
  tlsKey: { ...certificateFile, description: 'its private key in PEM' },
  tlsCa: { ...certificateFile, description: 'authority that signed it, in PEM; needed with --manage-webhooks' },
  manageWebhooks: { group: 'Registration', description: 'fill the two webhook configurations named regkeeper', default: false },
  excludeNamespaces: {
    ...registration,
    description: 'namespaces never asked about, such as those of network and storage drivers',
    placeholder: 'name',
    multiple: true,
    read: readDnsLabel,
    defaultText: "its own, kube-system, kube-node-lease, OpenShift's",
  },
  namespaceSelector: {
    ...registration,
    description: 'ask only about namespaces with these labels, as in "team in (a, b), !legacy"',
    placeholder: 'labels',
    read: parseLabelSelector,
    defaultText: 'every namespace that is not excluded',
  },
  matchCondition: {
    ...registration,
    description: 'ask only where this expression of CEL holds, too',
    placeholder: 'expression',
    read: readText,
  },
  failurePolicy: {
    ...registration,
    description: 'what happens to images while nobody answers: Fail refuses them, Ignore lets them in',
    placeholder: 'policy',
    read: readChoice('Fail', 'Ignore'),
    default: 'Fail',
  },
  webhookTimeoutSeconds: {
    ...registration,
    description: 'how long the API server waits for an answer',
    placeholder: 'seconds',
    read: readTimeout,
    default: 5,
  },
  admissionsEnforcer: {
    ...registration,
    description: 'on AKS: tolerate what its enforcer adds to each namespaceSelector, or disable it for regkeeper',
    placeholder: 'policy',
    read: readChoice('tolerate', 'disable'),
    default: 'tolerate',
  },
  host: {
    group: 'Server',
    description: 'address to listen on',
    placeholder: 'address',
    read: readText,
    default: '::',
    devDefault: '127.0.0.1',
  },
  port: { group: 'Server', description: 'HTTPS port', placeholder: 'number', read: readPort, default: 8443 },
  healthPort: {
    group: 'Server',
    description: 'plain HTTP port of /healthz, /readyz and /metrics',
    placeholder: 'number',
    read: readPort,
    default: 8080,
  },
  clientCa: {
    group: 'Server',
    description: 'CA of client certificates in PEM: callers without one get 401',
    placeholder: 'file',
    read: readText,
  },
  shutdownDelaySeconds: {
    group: 'Server',
    description: 'how long to go on answering after SIGTERM',
    placeholder: 'seconds',
    read: readSeconds,
    default: 10,
    devDefault: 0,
  },
  logLevel: {
    group: 'Server',
    description: 'of the log on standard error: debug, info, warn or error',
    placeholder: 'level',
    read: readChoice('debug', 'info', 'warn', 'error'),
    default: 'info',
  },
  auditLog: {
    group: 'Server',
    description: 'where the record of each decision goes',
    placeholder: 'file',
    read: readText,
    default: '-',
    defaultText: 'standard output',
  },
  dev: {
    group: 'Server',
    description: 'for a developer: own certificates in certs/dev, the example rules, on 127.0.0.1, without a cluster',
    default: false,
  },
} as const satisfies Readonly<Record<string, Setting>>;

type Table = typeof settingTable;
export type SettingName = keyof Table;
export const settingNames = Object.keys(settingTable) as readonly SettingName[];

type Read<Row> = Row extends { read: (text: string) => Reading<infer Value> } ? Value : boolean;
/** The type of a setting's value if it is set. */
export type SettingValue<Name extends SettingName> = Table[Name] extends { multiple: true }
  ? readonly Read<Table[Name]>[]
  : Read<Table[Name]>;
/** The values of all settings. Undefined if one is not set and has no default. */
export type SettingValues = {
  readonly [Name in SettingName]: SettingValue<Name> | (Table[Name] extends { default: unknown } ? never : undefined);
};

export function settingOf(name: SettingName): Setting {
  return settingTable[name];
}

/** `--tls-cert` of `tlsCert`. */
export function flagOf(name: SettingName): string {
  return `--${wordsOf(name).join('-')}`;
}

/** `REGKEEPER_TLS_CERT` of `tlsCert`. */
export function variableOf(name: SettingName): string {
  return `${variablePrefix}${wordsOf(name).join('_').toUpperCase()}`;
}

export const variablePrefix = 'REGKEEPER_';

/** The usage in --help and docs: `-n, --namespace <name>`. */
export function usageOf(name: SettingName): string {
  const { short, placeholder, multiple } = settingOf(name);
  return `${short === undefined ? '' : `${short}, `}${flagOf(name)}${placeholder === undefined ? '' : ` <${placeholder}${multiple ? '...' : ''}>`}`;
}

/** The default in words. Undefined if there is none. */
export function defaultOf(name: SettingName): string | undefined {
  const { default: value, devDefault, defaultText } = settingOf(name);
  if (defaultText !== undefined) return defaultText;
  if (value === undefined) return undefined;
  const usual = value === false ? 'off' : String(value);
  return devDefault === undefined ? usual : `${usual}, with --dev ${devDefault}`;
}

function wordsOf(name: SettingName): readonly string[] {
  return name.split(/(?=[A-Z])/).map((word) => word.toLowerCase());
}

export function readSwitch(text: string): Reading<boolean> {
  if (text === 'true' || text === '1') return { ok: true, value: true };
  if (text === 'false' || text === '0') return { ok: true, value: false };
  return { ok: false, problem: 'must be `true`, `false`, `1` or `0`' };
}

function readText(text: string): Reading<string> {
  return text.trim() === '' ? { ok: false, problem: 'is blank; give a value, or leave it out' } : { ok: true, value: text };
}

function readChoice<const Choice extends string>(...choices: readonly Choice[]): (text: string) => Reading<Choice> {
  return (text) => {
    const value = choices.find((choice) => choice === text);
    if (value !== undefined) return { ok: true, value };
    return { ok: false, problem: `must be ${listChoices(choices)}` };
  };
}

/** `self`, `files` or `dev`, each in backticks. */
function listChoices(choices: readonly string[]): string {
  const quoted = choices.map((choice) => `\`${choice}\``);
  return [quoted.slice(0, -1).join(', '), ...quoted.slice(-1)].filter((part) => part !== '').join(' or ');
}

function readDnsLabel(text: string): Reading<string> {
  if (/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text)) return { ok: true, value: text };
  return { ok: false, problem: `"${text}" is no name: at most 63 lower-case letters, digits and hyphens, and no pattern` };
}

function readPort(text: string): Reading<number> {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65535) return { ok: true, value: port };
  return { ok: false, problem: 'a port is a number from 0 to 65535; 0 takes a free one' };
}

function readSeconds(text: string): Reading<number> {
  const seconds = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && seconds <= 600) return { ok: true, value: seconds };
  return { ok: false, problem: 'seconds are a number from 0 to 600' };
}

/** The API server accepts no other timeouts: kubernetes.io, Dynamic Admission Control, Timeouts. */
function readTimeout(text: string): Reading<number> {
  const seconds = Number(text);
  if (/^\d+$/.test(text) && seconds >= 1 && seconds <= 30) return { ok: true, value: seconds };
  return { ok: false, problem: 'a timeout is a whole number of seconds from 1 to 30' };
}
