/** Every setting of `regkeeper serve` and `regkeeper deliver`. This table generates flags, variables and --help, and a test compares docs/settings.md with it. */
import { dnsLabel } from '../rules/language/label-grammar.ts';
import { parseLabelSelector } from '../rules/language/label-selector.ts';

export type Reading<Value> = { readonly ok: true; readonly value: Value } | { readonly ok: false; readonly problem: string };

export type Setting = {
  /** Heading in --help. */
  readonly group: 'Rules' | 'Cluster' | 'Certificate' | 'Registration' | 'Delivery' | 'Server';
  /** The description in --help. */
  readonly description: string;
  /** The placeholder for the value in --help. A setting without one is a switch. */
  readonly placeholder?: string;
  readonly short?: string;
  /** Accepts several values, separated by blanks in flags and by commas in variables. */
  readonly multiple?: true;
  /** All values that can be written. */
  readonly choices?: readonly string[];
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
  /** `regkeeper deliver` has the setting too, with these differences in --help. `requires` and `excludes` do not apply there. */
  readonly deliver?: { readonly description?: string; readonly group?: Setting['group'] };
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
    deliver: {},
    group: 'Rules',
    description: 'load rules from files or directories instead of ConfigMaps',
    placeholder: 'path',
    multiple: true,
    read: readText,
    devDefault: ['deploy/examples/rules'],
    defaultText: 'ConfigMaps in the namespace',
  },
  namespaceRules: {
    group: 'Rules',
    description: 'allow namespaces to have their own rules',
    default: false,
    excludes: ['rules', 'dev'],
  },
  customKinds: {
    deliver: {},
    group: 'Rules',
    description: 'load files that declare custom resources with images',
    placeholder: 'files',
    multiple: true,
    read: readText,
  },
  kubeconfig: {
    deliver: {},
    group: 'Cluster',
    description: 'use this kubeconfig to connect to the cluster',
    placeholder: 'file',
    read: readText,
    defaultText: "KUBECONFIG, else ~/.kube/config, else the Pod's service account",
  },
  context: {
    deliver: {},
    group: 'Cluster',
    description: 'use this kubeconfig context',
    placeholder: 'name',
    read: readText,
    defaultText: 'the current context',
  },
  namespace: {
    deliver: {},
    group: 'Cluster',
    description: "set regkeeper's namespace",
    placeholder: 'name',
    short: '-n',
    read: readDnsLabel,
    defaultText: "POD_NAMESPACE, else the Pod's namespace, else regkeeper",
  },
  service: {
    group: 'Cluster',
    description: "set the name of regkeeper's Service",
    placeholder: 'name',
    read: readDnsLabel,
    default: 'regkeeper',
  },
  events: {
    group: 'Cluster',
    description: 'write Events about denied Pods and about rules: on or off',
    placeholder: 'switch',
    ...oneOf('on', 'off'),
    default: 'on',
  },
  tls: {
    group: 'Certificate',
    description: 'choose the certificate source: self (Secret), files or dev',
    placeholder: 'mode',
    ...oneOf('self', 'files', 'dev'),
    defaultText: 'files if --tls-cert is set, otherwise self in a cluster, otherwise dev',
  },
  tlsCert: { ...certificateFile, description: 'load the certificate chain (PEM), and watch it for changes' },
  tlsKey: { ...certificateFile, description: 'load the private key (PEM)' },
  tlsCa: { ...certificateFile, description: 'load the CA (PEM), for --manage-webhooks with --tls files' },
  manageWebhooks: { group: 'Registration', description: 'register the webhooks, and repair their configurations', default: false },
  excludeNamespaces: {
    deliver: {
      group: 'Delivery',
      description: 'deliver no secrets to these and the system namespaces',
    },
    ...registration,
    description: 'exclude these and the system namespaces from the webhooks',
    placeholder: 'name',
    multiple: true,
    read: readDnsLabel,
  },
  namespaceSelector: {
    deliver: { group: 'Delivery', description: 'deliver secrets only to namespaces with these labels' },
    ...registration,
    description: 'intercept only requests in namespaces with these labels',
    placeholder: 'labels',
    read: parseLabelSelector,
    defaultText: 'every namespace that is not excluded',
  },
  matchCondition: {
    ...registration,
    description: 'intercept only requests that match this CEL expression',
    placeholder: 'expression',
    read: readText,
  },
  failurePolicy: {
    ...registration,
    description: 'deny or allow requests when no replica responds',
    placeholder: 'policy',
    ...oneOf('Fail', 'Ignore'),
    default: 'Fail',
  },
  webhookTimeoutSeconds: {
    ...registration,
    description: 'limit how long the API server waits for a response',
    placeholder: 'seconds',
    read: readTimeout,
    default: 5,
  },
  admissionsEnforcer: {
    ...registration,
    description: 'tolerate or disable the AKS Admissions Enforcer',
    placeholder: 'policy',
    ...oneOf('tolerate', 'disable'),
    default: 'tolerate',
  },
  host: {
    deliver: {},
    group: 'Server',
    description: 'listen on this address',
    placeholder: 'address',
    read: readText,
    default: '::',
    devDefault: '127.0.0.1',
  },
  port: { group: 'Server', description: 'listen for HTTPS on this port', placeholder: 'number', read: readPort, default: 8443 },
  healthPort: {
    deliver: {},
    group: 'Server',
    description: 'serve /healthz, /readyz and /metrics on this HTTP port',
    placeholder: 'number',
    read: readPort,
    default: 8080,
  },
  clientCa: {
    group: 'Server',
    description: 'require client certificates signed by this CA (PEM)',
    placeholder: 'file',
    read: readText,
  },
  shutdownDelaySeconds: {
    group: 'Server',
    description: 'keep serving requests this long after SIGTERM',
    placeholder: 'seconds',
    read: readSeconds,
    default: 10,
    devDefault: 0,
  },
  logLevel: {
    deliver: {},
    group: 'Server',
    description: 'log events at this level and above to standard error',
    placeholder: 'level',
    ...oneOf('debug', 'info', 'warn', 'error'),
    default: 'info',
  },
  logFormat: {
    deliver: {},
    group: 'Server',
    description: 'write the log as text or JSON lines',
    placeholder: 'format',
    ...oneOf('text', 'json'),
    defaultText: 'text on a terminal, otherwise json',
  },
  auditLog: {
    deliver: {},
    group: 'Server',
    description: 'write audit records to this file',
    placeholder: 'file',
    read: readText,
    default: '-',
    defaultText: 'standard output',
  },
  dev: {
    group: 'Server',
    description: 'run without a cluster, with example rules and certificates',
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

/** The settings of `regkeeper deliver`. */
export const deliverySettingNames = settingNames.filter((name) => settingOf(name).deliver !== undefined);

/** A setting as it is in `regkeeper deliver`, which has no --dev. */
export function deliverySettingOf(name: SettingName): Setting {
  const { requires: _requires, excludes: _excludes, devDefault: _devDefault, deliver, ...setting } = settingOf(name);
  return { ...setting, ...deliver };
}

/** `--tls-cert` of `tlsCert`. */
export function flagOf(name: SettingName): string {
  return `--${wordsOf(name).join('-')}`;
}

/** `--no-manage-webhooks` of `manageWebhooks`. */
export function negatedFlagOf(name: SettingName): string {
  return flagOf(name).replace('--', '--no-');
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

/** The default in words, with its values as `render` shows them. Undefined if there is none. */
export function defaultOf(name: SettingName, setting = settingOf(name), render: (value: unknown) => string = String): string | undefined {
  const { default: value, devDefault, defaultText } = setting;
  if (defaultText !== undefined) return defaultText;
  if (value === undefined) return undefined;
  const usual = value === false ? 'off' : render(value);
  return devDefault === undefined ? usual : `${usual}, or ${render(devDefault)} with --dev`;
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
  return text.trim() === '' ? { ok: false, problem: 'is blank. Set a value, or remove it' } : { ok: true, value: text };
}

function oneOf<const Choice extends string>(...choices: readonly Choice[]) {
  const read = (text: string): Reading<Choice> => {
    const value = choices.find((choice) => choice === text);
    if (value !== undefined) return { ok: true, value };
    return { ok: false, problem: `must be ${listChoices(choices)}` };
  };
  return { choices, read };
}

/** `self`, `files` or `dev`, each in backticks. */
function listChoices(choices: readonly string[]): string {
  const quoted = choices.map((choice) => `\`${choice}\``);
  return [quoted.slice(0, -1).join(', '), ...quoted.slice(-1)].filter((part) => part !== '').join(' or ');
}

function readDnsLabel(text: string): Reading<string> {
  if (new RegExp(dnsLabel).test(text)) return { ok: true, value: text };
  return {
    ok: false,
    problem: `"${text}" is not a valid name. Use at most 63 lower-case letters, digits and hyphens. Patterns are not supported`,
  };
}

function readPort(text: string): Reading<number> {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65535) return { ok: true, value: port };
  return { ok: false, problem: 'must be a port number from 0 to 65535. With 0 the system chooses a free port' };
}

function readSeconds(text: string): Reading<number> {
  const seconds = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && seconds <= 600) return { ok: true, value: seconds };
  return { ok: false, problem: 'must be a number of seconds from 0 to 600' };
}

/** The API server accepts no other timeouts: kubernetes.io, Dynamic Admission Control, Timeouts. */
function readTimeout(text: string): Reading<number> {
  const seconds = Number(text);
  if (/^\d+$/.test(text) && seconds >= 1 && seconds <= 30) return { ok: true, value: seconds };
  return { ok: false, problem: 'must be a whole number of seconds from 1 to 30' };
}
