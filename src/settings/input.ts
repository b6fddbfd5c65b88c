/** Reads the settings from flags and variables, and keeps each as the operator wrote it. */
import { isDeepStrictEqual } from 'node:util';
import { closestSpelling } from '../rules/closest-spelling.ts';
import { isServiceLink } from './service-links.ts';
import {
  flagOf,
  negatedFlagOf,
  type Reading,
  readSwitch,
  type SettingName,
  type SettingValue,
  settingNames,
  settingOf,
  variableOf,
  variablePrefix,
} from './table.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Flags as the command-line parser returns them. */
export type Flags = { readonly [Name in SettingName]?: string | readonly string[] | boolean };

export type SettingInput<Value = unknown> = {
  readonly value: Value;
  /** The flag or the variable that set it. */
  readonly source: string;
  /** The flag or variable with its value, as the operator wrote it: `--tls files`, `REGKEEPER_TLS=files`. */
  readonly written: string;
};

export type SettingInputs = { readonly [Name in SettingName]?: SettingInput<SettingValue<Name>> };

export type CollectedSettings = {
  readonly inputs: SettingInputs;
  /** Variables that differ from a flag, each with the flag that takes precedence. */
  readonly ignoredVariables: readonly { readonly variable: string; readonly flag: string }[];
  readonly problems: readonly string[];
};

/** Variables of settings that are not among `names` belong to another command, and are ignored. */
export function collectSettings(flags: Flags, env: Environment, names: readonly SettingName[] = settingNames): CollectedSettings {
  const inputs: Partial<Record<SettingName, SettingInput>> = {};
  const ignoredVariables: { variable: string; flag: string }[] = [];
  const problems = unknownVariables(env);
  for (const name of names) {
    const fromFlag = flags[name] === undefined ? undefined : readFlag(name, flags[name]);
    const fromVariable = readVariable(name, env);
    if (fromFlag && fromVariable && !isDeepStrictEqual(fromFlag.reading, fromVariable.reading))
      ignoredVariables.push({ variable: variableOf(name), flag: fromFlag.written });
    const chosen = fromFlag ?? fromVariable;
    if (!chosen) continue;
    const { reading, ...origin } = chosen;
    if (reading.ok) inputs[name] = { value: reading.value, ...origin };
    else problems.push(`${origin.written}: ${reading.problem}`);
  }
  return { inputs: inputs as SettingInputs, ignoredVariables, problems };
}

type SettingReading = Omit<SettingInput, 'value'> & { readonly reading: Reading<unknown> };

function readFlag(name: SettingName, value: string | readonly string[] | boolean): SettingReading {
  const flag = flagOf(name);
  if (typeof value === 'boolean') {
    const source = value ? flag : negatedFlagOf(name);
    return { source, written: source, reading: { ok: true, value } };
  }
  const texts = typeof value === 'string' ? [value] : value;
  return { source: flag, written: [flag, ...texts.map(asTyped)].join(' '), reading: readTexts(name, texts) };
}

function asTyped(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text}'`;
}

/** Undefined if the variable is not set, or blank, as a template without a value leaves it. */
function readVariable(name: SettingName, env: Environment): SettingReading | undefined {
  const source = variableOf(name);
  const text = env[source]?.trim() ?? '';
  if (text === '' || isServiceLink(source, text)) return undefined;
  const { placeholder, multiple } = settingOf(name);
  const reading = placeholder === undefined ? readSwitch(text) : readTexts(name, multiple ? partsOf(text) : [text]);
  return { source, written: `${source}=${asTyped(text)}`, reading };
}

function partsOf(list: string): readonly string[] {
  return list
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function readTexts(name: SettingName, texts: readonly string[]): Reading<unknown> {
  const { multiple, read } = settingOf(name);
  if (!read) throw new Error(`the setting ${name} does not accept a value`);
  if (texts.length === 0) return { ok: false, problem: 'contains commas but no value' };
  const readings = texts.map(read);
  const bad = readings.find((reading) => !reading.ok);
  if (bad) return bad;
  const values = readings.flatMap((reading) => (reading.ok ? [reading.value] : []));
  return { ok: true, value: multiple ? values : values.at(-1) };
}

function unknownVariables(env: Environment): string[] {
  const known = settingNames.map(variableOf);
  return Object.entries(env)
    .filter(([variable, value]) => variable.startsWith(variablePrefix) && !known.includes(variable) && !isForeign(variable, value ?? ''))
    .map(([variable]) => `${variable} is not a setting. ${suggestName(variable)}`)
    .sort();
}

function isForeign(variable: string, value: string): boolean {
  return ofOurTests.test(variable) || isServiceLink(variable, value);
}

/** Variables of our tests, which may be set in a developer's shell. */
const ofOurTests = /^REGKEEPER_(CORPUS|PROPERTY_RUNS|TEST_KUBECONFIG)$/;

function suggestName(variable: string): string {
  // Compared without the common prefix, which would make short names too similar.
  const nearest = closestSpelling(
    variable.slice(variablePrefix.length),
    settingNames.map((name) => variableOf(name).slice(variablePrefix.length)),
  );
  return nearest === undefined ? 'Run "regkeeper serve --help" for the list of variables' : `Did you mean ${variablePrefix}${nearest}?`;
}
