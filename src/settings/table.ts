/** Every setting of `regkeeper serve`. Flags, variables and --help are made of this table, and a test holds docs/operations.md against it. */
import { parseLabelSelector } from '../rules/language/label-selector.ts';

export type Reading<Value> = { readonly ok: true; readonly value: Value } | { readonly ok: false; readonly problem: string };

export type Setting = {
  /** Heading in --help. */
  readonly group: 'Rules' | 'Cluster' | 'Certificate' | 'Registration' | 'Server';
  /** In --help. */
  readonly means: string;
  /** What stands for the value in --help; a setting without one is on or off. */
  readonly takes?: string;
  readonly short?: string;
  /** Takes several values: blanks between them in flags, commas in variables. */
  readonly many?: true;
  /** Reads one value; the problem follows the words of the person, as in `--port x: …`. */
  readonly read?: (text: string) => Reading<unknown>;
  /** What holds where it is not given. */
  readonly default?: unknown;
  /** The same with --dev, where it differs. */
  readonly devDefault?: unknown;
  /** The default in words, where it is not one value. */
  readonly otherwise?: string;
  /** Means something only where the other one is given so. */
  readonly goesWith?: { readonly setting: string; readonly value: unknown };
  /** Cannot hold together with these. */
  readonly excludes?: readonly string[];
};

const registration = { group: 'Registration', goesWith: { setting: 'register', value: true } } as const;
const certificateFile = { group: 'Certificate', takes: 'file', read: readText, goesWith: { setting: 'tls', value: 'files' } } as const;

export const settingTable = {
  rules: {
    group: 'Rules',
    means: 'rules from files and folders, watched, instead of ConfigMaps',
    takes: 'path',
    many: true,
    read: readText,
    devDefault: ['deploy/examples/rules'],
    otherwise: 'ConfigMaps of the namespace',
  },
  namespaceRules: {
    group: 'Rules',
    means: 'namespaces may have rules of their own, in their ConfigMaps labelled regkeeper.io/rules: namespace; they never loosen',
    default: false,
    excludes: ['rules', 'dev'],
  },
  extraKinds: {
    group: 'Rules',
    means: 'custom resources that hold images, and where: files as in docs/kinds.md',
    takes: 'files',
    many: true,
    read: readText,
  },
  kubeconfig: {
    group: 'Cluster',
    means: 'the cluster to watch',
    takes: 'file',
    read: readText,
    otherwise: 'KUBECONFIG, ~/.kube/config, the service account of the pod',
  },
  context: { group: 'Cluster', means: 'context of the kubeconfig', takes: 'name', read: readText, otherwise: "the kubeconfig's own" },
  namespace: {
    group: 'Cluster',
    means: 'namespace of regkeeper itself',
    takes: 'name',
    short: '-n',
    read: readDnsLabel,
    otherwise: 'POD_NAMESPACE, the namespace of the pod, regkeeper',
  },
  service: { group: 'Cluster', means: 'Service that leads here', takes: 'name', read: readDnsLabel, default: 'regkeeper' },
  tls: {
    group: 'Certificate',
    means: 'where the certificate comes from: self, a Secret of our own; files; or dev, certs/dev',
    takes: 'mode',
    read: readChoice('self', 'files', 'dev'),
    otherwise: 'files with --tls-cert; else self with a cluster, dev without',
  },
  tlsCert: { ...certificateFile, means: 'certificate chain in PEM, reloaded when it changes' },
  tlsKey: { ...certificateFile, means: 'its private key in PEM' },
  tlsCa: { ...certificateFile, means: 'authority that signed it, in PEM; needed with --register' },
  register: { group: 'Registration', means: 'fill the two webhook configurations named regkeeper', default: false },
  excludeNamespaces: {
    ...registration,
    means: 'namespaces never asked about, such as those of network and storage drivers',
    takes: 'name',
    many: true,
    read: readDnsLabel,
    otherwise: "its own, kube-system, kube-node-lease, OpenShift's",
  },
  namespaceSelector: {
    ...registration,
    means: 'ask only about namespaces with these labels, as in "team in (a, b), !legacy"',
    takes: 'labels',
    read: parseLabelSelector,
    otherwise: 'every namespace that is not excluded',
  },
  matchCondition: {
    ...registration,
    means: 'ask only where this expression of CEL holds, too',
    takes: 'expression',
    read: readText,
  },
  failurePolicy: {
    ...registration,
    means: 'what happens to images while nobody answers: Fail refuses them, Ignore lets them in',
    takes: 'policy',
    read: readChoice('Fail', 'Ignore'),
    default: 'Fail',
  },
  webhookTimeoutSeconds: {
    ...registration,
    means: 'how long the API server waits for an answer',
    takes: 'seconds',
    read: readTimeout,
    default: 5,
  },
  admissionsEnforcer: {
    ...registration,
    means: 'on AKS: tolerate what its enforcer adds to each namespaceSelector, or disable it for regkeeper',
    takes: 'policy',
    read: readChoice('tolerate', 'disable'),
    default: 'tolerate',
  },
  host: { group: 'Server', means: 'address to listen on', takes: 'address', read: readText, default: '::', devDefault: '127.0.0.1' },
  port: { group: 'Server', means: 'HTTPS port', takes: 'number', read: readPort, default: 8443 },
  healthPort: {
    group: 'Server',
    means: 'plain HTTP port of /healthz, /readyz and /metrics',
    takes: 'number',
    read: readPort,
    default: 8080,
  },
  drainSeconds: {
    group: 'Server',
    means: 'how long to go on answering after SIGTERM',
    takes: 'seconds',
    read: readSeconds,
    default: 10,
    devDefault: 0,
  },
  logLevel: {
    group: 'Server',
    means: 'of the log on standard error: debug, info, warn or error',
    takes: 'level',
    read: readChoice('debug', 'info', 'warn', 'error'),
    default: 'info',
  },
  auditLog: {
    group: 'Server',
    means: 'where the record of each decision goes',
    takes: 'file',
    read: readText,
    default: '-',
    otherwise: 'standard output',
  },
  dev: {
    group: 'Server',
    means: 'for a developer: own certificates in certs/dev, the example rules, on 127.0.0.1, without a cluster',
    default: false,
  },
} as const satisfies Readonly<Record<string, Setting>>;

type Table = typeof settingTable;
export type SettingName = keyof Table;
export const settingNames = Object.keys(settingTable) as readonly SettingName[];

type Read<Row> = Row extends { read: (text: string) => Reading<infer Value> } ? Value : boolean;
/** What a setting says where it is given. */
export type SettingValue<Name extends SettingName> = Table[Name] extends { many: true } ? readonly Read<Table[Name]>[] : Read<Table[Name]>;
/** What all settings say, undefined where one is not given and has no default. */
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

/** As help and docs show it: `-n, --namespace <name>`. */
export function usageOf(name: SettingName): string {
  const { short, takes, many } = settingOf(name);
  return `${short === undefined ? '' : `${short}, `}${flagOf(name)}${takes === undefined ? '' : ` <${takes}${many ? '...' : ''}>`}`;
}

/** What holds where it is not given, in words; undefined where that is nothing. */
export function defaultOf(name: SettingName): string | undefined {
  const { default: value, devDefault, otherwise } = settingOf(name);
  if (otherwise !== undefined) return otherwise;
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

/** The API server takes nothing else: kubernetes.io, Dynamic Admission Control, Timeouts. */
function readTimeout(text: string): Reading<number> {
  const seconds = Number(text);
  if (/^\d+$/.test(text) && seconds >= 1 && seconds <= 30) return { ok: true, value: seconds };
  return { ok: false, problem: 'a timeout is a whole number of seconds from 1 to 30' };
}
