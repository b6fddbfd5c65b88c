/** Checks a rules document against the schema and describes each difference. */

import type { ErrorObject } from 'ajv/dist/2020.js';
import { maxQuotedLength, quote } from '../../image/problem.ts';
import { formatCount, listOf } from '../../image/wording.ts';
import { escapePointer, fieldsOfPointer } from '../../yaml/json-pointer.ts';
import type { YamlDocument } from '../../yaml/read-document.ts';
import { closestSpelling } from '../closest-spelling.ts';
import { isCalendarDay } from './calendar-day.ts';
import { addSpaceAfterDash, type DocumentProblem, startsWithDash } from './document.ts';
import { parsePattern } from './pattern.ts';
import { type FieldsOfLevel, fieldsOfLevel, type Level } from './schema.ts';
import { schemaErrors } from './schema-errors.ts';

/** How a document differs from the schema. */
export type SchemaCheck = {
  readonly problems: readonly DocumentProblem[];
  /** JSON pointers of values that are missing or do not match the schema. All other values can be used. */
  readonly invalid: ReadonlySet<string>;
};

/**
 * Compares the data with the schema and reports each difference once, at its position. `fields` are the fields that the scope allows. A field
 * of the schema that is not among them gets one problem about the scope and no other. `rejected` are JSON pointers of values whose problem is
 * already reported. `errors` are the {@link schemaErrors} of the data, if they are known.
 */
export function checkSchema(
  data: YamlDocument,
  fields: FieldsOfLevel = fieldsOfLevel,
  rejected: ReadonlySet<string> = new Set(),
  errors?: ReturnType<typeof schemaErrors>,
): SchemaCheck {
  if (rejected.has('')) return { problems: [], invalid: rejected };
  const disallowed = fields === fieldsOfLevel ? [] : disallowedFields(data.value, fields);
  const problems = disallowed.map(({ pointer, field }) => disallowedField(pointer, field, data));
  const reported = new Set([...disallowed.map(({ pointer }) => pointer), ...rejected]);
  const invalid = new Set(reported);
  const hasDash = isMapping(data.value) && Object.keys(data.value).some(startsWithDash);
  for (const [pointer, group] of groupByPointer(errors ?? schemaErrors(data.value))) {
    if (isIn(pointer, reported)) continue;
    if (group.some(({ keyword }) => !isAboutField(keyword))) invalid.add(pointer);
    for (const field of missingIn(group)) invalid.add(`${pointer}/${field}`);
    // The entries of an empty list may be below it, with dashes that are parsed as parts of fields.
    if (hasDash && isEmptyList(pointer, group)) continue;
    problems.push(...describeGroup(pointer, group, data, fields));
  }
  return { problems, invalid };
}

function isEmptyList(pointer: string, [error]: readonly ErrorObject[]): boolean {
  return error?.data === null && Object.hasOwn(firstField, pointer.slice(1));
}

/** Renders a pointer such as `/rules/2/pullSecret` for messages: `rules[2].pullSecret`. */
export function renderPointer(pointer: string): string {
  const fields = fieldsOfPointer(pointer);
  const path = fields.map((field, index) => {
    if (fields[index - 1] !== 'matchLabels' && isIndex(field)) return `[${field}]`;
    return /^[A-Za-z][\w-]*$/.test(field) ? `.${field}` : `[${quote(field)}]`;
  });
  return path.join('').replace(/^\./, '');
}

type DisallowedField = { readonly pointer: string; readonly field: string };

/** Fields that the schema has and the scope does not allow, at the top level and in rules. */
function disallowedFields(value: unknown, fields: FieldsOfLevel): readonly DisallowedField[] {
  const document = disallowedIn(value, '', 'document', fields);
  const rules = isMapping(value) && Array.isArray(value.rules) ? value.rules : [];
  return [...document, ...rules.flatMap((rule, index) => disallowedIn(rule, `/rules/${index}`, 'rule', fields))];
}

function disallowedIn(value: unknown, pointer: string, level: Level, fields: FieldsOfLevel): DisallowedField[] {
  if (!isMapping(value)) return [];
  const disallowed = fieldsOfLevel[level].filter((field) => !fields[level].includes(field) && field in value);
  return disallowed.map((field) => ({ pointer: `${pointer}/${field}`, field }));
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function disallowedField(pointer: string, field: string, data: YamlDocument): DocumentProblem {
  const why =
    field === 'namespaces'
      ? 'namespace rules apply only in their own namespace'
      : 'namespace rules may contain only registry rules. Only cluster rules may have this field';
  return {
    code: 'cluster-only-field',
    message: `${renderPointer(pointer)}: ${why}. Remove the field.`,
    position: data.locateField(pointer),
  };
}

/** Whether `pointers` contains the pointer or one of its parents. */
function isIn(pointer: string, pointers: ReadonlySet<string>): boolean {
  for (let at = pointer; pointers.size > 0 && at !== ''; at = parentOf(at)) if (pointers.has(at)) return true;
  return false;
}

/** Errors by pointer. `anyOf` yields errors for each alternative. Only those of the alternative that the author chose are kept. */
function groupByPointer(errors: readonly ErrorObject[]): ReadonlyMap<string, readonly ErrorObject[]> {
  const groups = new Map<string, ErrorObject[]>();
  const haveBadPart = new Set<string>();
  for (const error of errors) {
    const group = groups.get(error.instancePath);
    if (group) group.push(error);
    else groups.set(error.instancePath, [error]);
    addParents(error.instancePath, haveBadPart);
  }
  for (const [pointer, group] of groups) {
    if (!group.some(({ keyword }) => keyword === 'anyOf')) continue;
    const aboutFields = group.filter(({ keyword }) => isAboutField(keyword));
    if (aboutFields.length > 0) groups.set(pointer, aboutFields);
    else if (haveBadPart.has(pointer)) groups.delete(pointer);
  }
  return groups;
}

function addParents(pointer: string, parents: Set<string>): void {
  for (let at = parentOf(pointer); at !== '' && !parents.has(at); at = parentOf(at)) parents.add(at);
}

function isAboutField(keyword: string): boolean {
  return keyword === 'additionalProperties' || keyword === 'required';
}

function missingIn(errors: readonly ErrorObject[]): readonly string[] {
  return errors.filter(({ keyword }) => keyword === 'required').map(({ params }): string => params.missingProperty);
}

function describeGroup(pointer: string, errors: readonly ErrorObject[], data: YamlDocument, fields: FieldsOfLevel): DocumentProblem[] {
  const unknown = errors.filter(({ keyword }) => keyword === 'additionalProperties').map(({ params }): string => params.additionalProperty);
  const others = errors.filter(({ keyword }) => !isAboutField(keyword));
  const level = levelOf(pointer);
  const written = errors[0]?.data;
  const problems = describeUnknown(pointer, unknown, isMapping(written) ? written : {}, data, fields);
  // A misspelt field is one mistake. It is not also reported as missing.
  const isMeant = (level: Level, name: string, field: string) =>
    meantField(level, name, fields) === field || (field === 'registry' && isRegistryAsField(level, name));
  const isMisspelt = (field: string) => level !== 'labels' && unknown.some((name) => isMeant(level, name, field));
  const missing = missingIn(errors).filter((field) => !isMisspelt(field));
  problems.push(...missing.map((field) => missingField(pointer, field, data)));
  const [first] = others;
  if (first) problems.push({ ...describeValue(pointer, first.data, others, data), position: data.locate(pointer) });
  return problems;
}

function describeUnknown(
  pointer: string,
  unknown: readonly string[],
  written: Readonly<Record<string, unknown>>,
  data: YamlDocument,
  fields: FieldsOfLevel,
): DocumentProblem[] {
  const level = levelOf(pointer);
  if (level === 'labels') return unknown.map((field) => badLabelKey(pointer, field, data));
  // Labels without `matchLabels` are one mistake.
  const labels = level === 'selector' ? unknown.filter((field) => !isKnownSomewhere(level, field, fields)) : [];
  const others = labels.length === 0 ? unknown : unknown.filter((field) => isKnownSomewhere(level, field, fields));
  return [
    ...unlabelled(pointer, labels, written, data),
    ...others.map((field) => unknownField({ pointer, level, field, value: written[field], fields }, data)),
  ];
}

function isKnownSomewhere(level: Level, field: string, fields: FieldsOfLevel): boolean {
  const isName = level === 'selector' && namesOfNamespaces.has(field);
  return isName || meantField(level, field, fields) !== undefined || levels.some((other) => fields[other].includes(field));
}

function unlabelled(
  pointer: string,
  labels: readonly string[],
  written: Readonly<Record<string, unknown>>,
  data: YamlDocument,
): readonly DocumentProblem[] {
  const [first] = labels;
  if (first === undefined) return [];
  const named = labels.length > 3 ? [...labels.slice(0, 3).map(quote), `${labels.length - 3} more`] : labels.map(quote);
  const subject = `unknown ${labels.length === 1 ? 'field' : 'fields'} ${listOf(named, 'and')}`;
  const example = labels.length > 3 ? '{label: value}' : renderLabels(labels.map((label) => [label, written[label]]));
  const message = `${subject} in ${renderPointer(pointer)}. To select by labels, use {matchLabels: ${example}}.`;
  return [{ code: 'unknown-field', message, position: data.locateField(`${pointer}/${escapePointer(first)}`) }];
}

/** Labels as a mapping in YAML, if they are few and valid. Otherwise an example. */
function renderLabels(labels: readonly (readonly [string, unknown])[]): string {
  const texts = labels.map(([label, value]) => {
    if (typeof value === 'boolean' || typeof value === 'number') return `${label}: "${value}"`;
    return typeof value === 'string' ? `${label}: ${value}` : '';
  });
  const areValid = texts.every((text) => /^[\w./-]+: ("[\w.-]+"|[A-Za-z][\w.-]*)$/.test(text));
  const text = `{${texts.join(', ')}}`;
  return areValid && text.length <= maxQuotedLength ? text : '{label: value}';
}

/** The mapping of the rules format at a pointer. `labels` is the mapping of `matchLabels`, whose fields are label keys. */
function levelOf(pointer: string): Level | 'labels' {
  if (pointer === '') return 'document';
  if (/^\/rules\/\d+$/.test(pointer)) return 'rule';
  if (/^\/exemptions\/\d+$/.test(pointer)) return 'exemption';
  if (/^\/overrides\/\d+$/.test(pointer)) return 'override';
  if (isDeliveredSecret(pointer)) return 'secret';
  if (pointer.endsWith('/matchLabels')) return 'labels';
  return /\/matchExpressions\/\d+$/.test(pointer) ? 'requirement' : 'selector';
}

function isDeliveredSecret(pointer: string): boolean {
  return /^\/secrets\/\d+$/.test(pointer);
}

/** The lists whose entries are the mappings of a level. */
const listOfLevel: { readonly [Name in Level]?: string } = {
  rule: 'rules',
  exemption: 'exemptions',
  override: 'overrides',
  secret: 'secrets',
  requirement: 'matchExpressions',
};

const topLevel = 'at the top level';

/** `at the top level or in an entry of "rules" or "exemptions"`. */
function renderLevels(found: readonly Level[]): string {
  const lists = found.flatMap((level) => listOfLevel[level] ?? []);
  const places = [
    ...(found.includes('document') ? [topLevel] : []),
    ...(lists.length > 0 ? [`in an entry of ${listOf(lists.map(quote), 'or')}`] : []),
    ...(found.includes('selector') ? ['under "namespaces:"'] : []),
  ];
  return listOf(places, 'or');
}

/** Names that authors confuse with those of a level, and that differ in more than a typing error. */
const otherNames: { readonly [Name in Level]?: Readonly<Record<string, string>> } = {
  document: { internalRegistry: 'internalRegistries', registries: 'rules' },
  rule: { image: 'registry', images: 'registry', registries: 'registry', imagePullSecret: 'pullSecret', imagePullSecrets: 'pullSecret' },
  exemption: { registry: 'image', registries: 'image', images: 'image' },
  secret: { secret: 'name', from: 'source' },
};

function meantField(level: Level, field: string, fields: FieldsOfLevel): string | undefined {
  const otherName = otherNames[level];
  return otherName && Object.hasOwn(otherName, field) ? otherName[field] : closestSpelling(field, fields[level]);
}

/** What other tools call the field, and the values that they have there. */
const namesOfTrust: ReadonlySet<string> = new Set(['action', 'effect', 'policy', 'verdict', 'type']);

/** The value of `trust` that an author means by `deny: true` or `action: deny`. Undefined for other fields. */
export function meantTrust(field: string, value: unknown): boolean | undefined {
  if (field === 'deny' || field === 'allow') return String(value) === String(field === 'allow');
  if (!namesOfTrust.has(field) || typeof value !== 'string') return undefined;
  if (/^(deny|denied|reject|block|forbid)$/i.test(value)) return false;
  return /^(allow|allowed|accept|trust)$/i.test(value) ? true : undefined;
}

/** A rule that is written as `- reg.io: ...`. */
function isRegistryAsField(level: Level, field: string): boolean {
  return level === 'rule' && /[.:/]/.test(field) && parsePattern(field).ok;
}

/** What authors write under `namespaces` for its names. */
const namesOfNamespaces: ReadonlySet<string> = new Set(['name', 'names', 'namespace', 'namespaces']);

type UnknownField = {
  readonly pointer: string;
  readonly level: Level;
  readonly field: string;
  readonly value: unknown;
  readonly fields: FieldsOfLevel;
};

/** The fix for fields that authors expect, or that lack a space. */
function specialFix({ level, field, value, fields }: UnknownField): string | undefined {
  if (startsWithDash(field)) {
    const isEntry = levels.some((other) => other !== 'document' && fields[other].includes(field.slice(1)));
    return isEntry ? addSpaceAfterDash(field) : undefined;
  }
  if (level === 'document' && isMapping(value) && Object.keys(value).some((each) => fields.document.includes(each))) {
    return 'Put its fields at the top level.';
  }
  if (isRegistryAsField(level, field)) return `Use "registry: ${shorten(field)}".`;
  const trust = level === 'rule' ? meantTrust(field, value) : undefined;
  if (trust !== undefined) return `Use "trust: ${trust}".`;
  if (level === 'rule' && meantField(level, field, fields) === 'registry' && Array.isArray(value))
    return `Did you mean "registry"? It can be a list.`;
  if (level !== 'selector' || !namesOfNamespaces.has(field)) return undefined;
  const names = Array.isArray(value) ? `[${value.join(', ')}]` : String(value);
  return `To select by name, use ${/^[\w*\-[\], ]+$/.test(names) ? quote(`namespaces: ${names}`) : '"namespaces: NAME"'}.`;
}

function unknownField(unknown: UnknownField, data: YamlDocument): DocumentProblem {
  const { pointer, level, field, fields } = unknown;
  const where = level === 'document' ? topLevel : `in ${renderPointer(pointer)}`;
  const meant = meantField(level, field, fields);
  const elsewhere = levels.filter((other) => fields[other].includes(field));
  const fix = specialFix(unknown);
  let message = `unknown field ${quote(field)} ${where}`;
  if (fix !== undefined) message += `. ${fix}`;
  else if (meant !== undefined && (elsewhere.length === 0 || Object.hasOwn(otherNames[level] ?? {}, field))) {
    message += `. Did you mean ${quote(meant)}?`;
  } else if (elsewhere.length > 0) message += `. It belongs ${renderLevels(elsewhere)}.`;
  else message += `. Allowed fields are ${listOf(fields[level], 'and')}.`;
  return { code: 'unknown-field', message, position: data.locateField(`${pointer}/${escapePointer(field)}`) };
}

const levels = Object.keys(fieldsOfLevel) as readonly Level[];

const whyNeeded: Readonly<Record<string, string>> = {
  registry: 'Specify the registry that the rule matches.',
  image: 'Specify the allowed images as host[:port][/path].',
  until: 'Set the end date, for example "until: 2027-03-31".',
  reason: 'Explain in one line why the image is allowed.',
  namespaces: 'Specify the namespaces to which the settings apply. Settings for all namespaces belong at the top level.',
  key: 'Specify the key of the label.',
  operator: 'Use In, NotIn, Exists or DoesNotExist.',
};

const whyNeededInSecrets: Readonly<Record<string, string>> = {
  name: 'Specify the name of the secret, as in the rules.',
  source: "Specify the name of the Secret to copy, in regkeeper's own namespace.",
  namespaces: 'Specify the namespaces that may have a copy, or "*" for all.',
};

function missingField(pointer: string, field: string, data: YamlDocument): DocumentProblem {
  const why = isDeliveredSecret(pointer) ? whyNeededInSecrets : whyNeeded;
  const message = `${renderPointer(pointer)} has no ${field}. ${why[field] ?? 'Add it.'}`;
  return { code: 'missing-field', message, position: data.locate(pointer) };
}

type Description = Omit<DocumentProblem, 'position'>;

function describeValue(pointer: string, value: unknown, errors: readonly ErrorObject[], data: YamlDocument): Description {
  const place = renderPointer(pointer);
  const { field, isEntry } = fieldAt(pointer);
  switch (field) {
    case undefined:
      return describeDocument(value);
    case 'rules':
    case 'exemptions':
    case 'overrides':
    case 'secrets':
    case 'matchExpressions':
      return isEntry ? describeEntry(place, field, value) : describeEntries(place, field, value);
    case 'internalRegistries':
      if (!isEntry) return describeList(place, value, '"- host:port" entries');
      return describeText(pointer, value, errors, data);
    case 'delegate':
      if (!isEntry) return describeList(place, value, '"- host/path" entries');
      return describeText(pointer, value, errors, data);
    case 'trust':
      return describeTrust(place, value);
    case 'mode':
    case 'unconfigured':
    case 'inject':
    case 'deliver':
    case 'onMissingSecret':
    case 'operator':
      return describeChoice(place, value, errors);
    case 'shortNames':
      return isEntry ? describeText(pointer, value, errors, data) : describeShortNames(place, value, errors);
    case 'namespaces':
      return describeNamespaces(pointer, value, errors, data);
    case 'matchLabels':
      return isEntry ? describeLabel(pointer, value, data) : describeLabels(place, value);
    case 'values':
      return isEntry ? describeLabel(pointer, value, data) : describeList(place, value, '"- value" entries');
    case 'key':
      return typeof value === 'string' && value !== '' ? badLabel(`${place} is`, value, 'key') : describeText(pointer, value, errors, data);
    case 'until':
      return describeDay(place, value, 'the end date');
    case 'warnFrom':
      return describeDay(place, value, 'the date on which warnings start');
    case 'retain':
      return describeDuration(place, value);
    default:
      return describeText(pointer, value, errors, data);
  }
}

function describeDocument(value: unknown): Description {
  if (Array.isArray(value)) return wrongType('the document is a list. If it contains the rules, put it under "rules:".');
  return wrongType(`the document is ${kindOf(value)}. It must be a mapping with fields such as "rules:".`);
}

const firstField = { rules: 'registry', exemptions: 'image', overrides: 'namespaces', secrets: 'name', matchExpressions: 'key' } as const;
const oneEntry = {
  rules: 'a rule',
  exemptions: 'an exemption',
  overrides: 'an override',
  secrets: 'a secret',
  matchExpressions: 'a requirement',
} as const;

function describeEntries(place: string, list: keyof typeof oneEntry, value: unknown): Description {
  const first = firstField[list];
  const [field = ''] = isMapping(value) ? Object.keys(value) : [];
  const known = fieldsOf(list);
  if (startsWithDash(field)) return wrongType(`${place} is a mapping, not a list. ${addSpaceAfterDash(field)}`);
  if (known.includes(field)) return wrongType(`${place} is a mapping, not a list. Start each entry with a dash: "- ${first}: ...".`);
  return describeList(place, value, `"- ${first}: ..." entries`);
}

/** The fields of an entry of the list. */
function fieldsOf(list: keyof typeof oneEntry): readonly string[] {
  return levels.filter((level) => listOfLevel[level] === list).flatMap((level) => fieldsOfLevel[level]);
}

function describeEntry(place: string, list: keyof typeof oneEntry, value: unknown): Description {
  const first = firstField[list];
  const [, field = '', text = ''] = typeof value === 'string' ? (/^([A-Za-z]+):(\S.*)$/.exec(value) ?? []) : [];
  if (fieldsOf(list).includes(field)) return wrongType(`${place} is a string. Add a space after the colon: ${quote(`${field}: ${text}`)}.`);
  if (typeof value === 'string') return wrongType(`${place} is a string. Use "${first}: ${shorten(value)}" after the dash.`);
  if (value === null) {
    return { code: 'empty-value', message: `${place} is empty. Add ${oneEntry[list]} after the dash, or remove the dash.` };
  }
  return wrongType(`${place} is ${kindOf(value)}, not ${oneEntry[list]}. Use "${first}: ..." after the dash.`);
}

function describeList(place: string, value: unknown, entries: string): Description {
  if (value === null)
    return { code: 'empty-value', message: `${place} is empty. Add ${entries} below it, use [] for an empty list, or remove the field.` };
  return wrongType(`${place} is ${kindOf(value)}, not a list. Add ${entries} below it.`);
}

function describeMapping(place: string, value: unknown, lines: string): Description {
  if (value === null) return { code: 'empty-value', message: `${place} is empty. Add ${lines} below it, or remove the field.` };
  return wrongType(`${place} is ${kindOf(value)}, not a mapping. Add ${lines} below it.`);
}

function describeLabels(place: string, value: unknown): Description {
  const labels = typeof value === 'string' ? parseEqualities(value) : undefined;
  if (labels) return wrongType(`${place} is a string, not a mapping. Use ${labels}.`);
  const entries = Array.isArray(value) && value.length <= 3 && value.every(isMapping) ? value.flatMap((each) => Object.entries(each)) : [];
  if (entries.length > 0) return wrongType(`${place} is a list, not a mapping. Use ${renderLabels(entries)}.`);
  return describeMapping(place, value, '"label: value" lines');
}

/** `{team: a, env: prod}` for `team=a,env=prod`. */
function parseEqualities(text: string): string | undefined {
  const parts = text.split(',').map((part) => /^\s*([\w./-]+)==?([\w.-]+)\s*$/.exec(part));
  if (!parts.every((part) => part !== null)) return undefined;
  return renderLabels(parts.map(([, label = '', value = '']) => [label, value]));
}

// In YAML 1.2 only true and false are booleans. yes, on and quoted words are text.
function describeTrust(place: string, value: unknown): Description {
  if (value === null) return emptyValue(place, 'true or false');
  if (typeof value !== 'string') return wrongType(`${place} is ${kindOf(value)}. Use true or false.`);
  if (/^(true|false),$/.test(value)) return wrongType(`${place} is the string ${quote(value)}. Remove the comma.`);
  const word = value.toLowerCase();
  if (['true', 'yes', 'on', 'y'].includes(word)) return wrongType(`${place} is the string ${quote(value)}. Use true without quotes.`);
  if (['false', 'no', 'off', 'n'].includes(word)) return wrongType(`${place} is the string ${quote(value)}. Use false without quotes.`);
  return wrongType(`${place} is the string ${quote(value)}. Use true or false.`);
}

function describeChoice(place: string, value: unknown, errors: readonly ErrorObject[]): Description {
  const allowed = allowedValues(errors);
  if (value === null) return emptyValue(place, listOf(allowed, 'or'));
  if (typeof value !== 'string') return wrongType(`${place} is ${kindOf(value)}. Use ${listOf(allowed, 'or')}.`);
  const near = closestSpelling(value, allowed) ?? otherForm(value, allowed);
  const fix = near ? `Did you mean ${quote(near)}?` : `Use ${listOf(allowed, 'or')}.`;
  return { code: 'unknown-value', message: `${place} is ${quote(value)}. ${fix}` };
}

/** Another form of the same verb: `denied` and `denies` for `deny`, `enforcing` for `enforce`. */
function otherForm(value: string, allowed: readonly string[]): string | undefined {
  const stem = value.toLowerCase().replace(/(ied|ies|ing|ed|es|s)$/, '');
  return allowed.find((word) => stem.length >= 3 && word.startsWith(stem) && word.length - stem.length <= 1);
}

function describeShortNames(place: string, value: unknown, errors: readonly ErrorObject[]): Description {
  const words = [...allowedValues(errors).map((word) => quote(word)), 'a list of hosts'];
  if (value === null || value === '') return emptyValue(place, listOf(words, 'or'));
  if (Array.isArray(value))
    return { code: 'empty-value', message: `${place} is an empty list. Use ${listOf(words, 'or')}, or remove the field.` };
  if (typeof value !== 'string') return wrongType(`${place} is ${kindOf(value)}. Use ${listOf(words, 'or')}.`);
  const near = closestSpelling(value, allowedValues(errors));
  const fix = near
    ? `Did you mean ${quote(near)}?`
    : parsePattern(value).ok
      ? `A single host must be a list too: [${shorten(value.split('/')[0] ?? value)}].`
      : `Use ${listOf(words, 'or')}.`;
  return { code: 'unknown-value', message: `${place} is ${quote(value)}. ${fix}` };
}

function describeNamespaces(pointer: string, value: unknown, errors: readonly ErrorObject[], data: YamlDocument): Description {
  const place = renderPointer(pointer);
  const { isEntry } = fieldAt(pointer);
  const choice = isEntry ? 'the name of a namespace' : 'a name, a list of names, or {matchLabels: {label: value}}';
  if (value === null || value === '') return emptyValue(place, choice);
  if (Array.isArray(value) && value.length === 0) {
    return {
      code: 'empty-value',
      message: `${place} is an empty list, which matches no namespace. Specify ${choice}, or remove the field.`,
    };
  }
  if (isEntry && typeof value === 'object' && !Array.isArray(value)) {
    return wrongType(
      `${place} is a mapping, but a list may contain only names. Specify labels without a list: {matchLabels: {label: value}}.`,
    );
  }
  return typeof value === 'string' ? badNamespace(place, value) : describeText(pointer, value, errors, data);
}

function badNamespace(place: string, value: string): Description {
  const fix = /^[A-Za-z0-9*]([-A-Za-z0-9*]*[A-Za-z0-9*])?$/.test(value) && value.length <= 63 ? fixOfCase(value) : fixOfNamespace(value);
  return { code: 'bad-namespace', message: `${place} is ${quote(value)}, which is not a valid namespace name. ${fix}` };
}

function fixOfCase(value: string): string {
  return `Names are lower case. Use ${quote(value.toLowerCase())}.`;
}

function fixOfNamespace(value: string): string {
  if (value.length > 63) return `It has ${formatCount(value.length)} characters. The maximum is 63.`;
  if (value.includes(',') || /\s/.test(value)) {
    const names = value.split(/[\s,]+/);
    const areValid = names.length <= 3 && names.every((name) => /^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$/.test(name));
    return `Specify several names as a list: [${(areValid ? names : ['a', 'b']).map((name) => (name.startsWith('*') ? quote(name) : name)).join(', ')}].`;
  }
  if (value.includes('=')) return `Specify labels as {matchLabels: ${parseEqualities(value) ?? '{label: value}'}}.`;
  const excluded = value.slice(1);
  if (value.startsWith('!') && /^[a-z0-9-]+$/.test(excluded)) {
    return `To exclude names, use {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [${excluded}]}]}.`;
  }
  return 'Use lower-case letters, digits and "-". Start and end with a letter or digit. The only wildcard is *, which matches any characters.';
}

function describeLabel(pointer: string, value: unknown, data: YamlDocument): Description {
  const place = renderPointer(pointer);
  if (typeof value === 'string') return badLabel(`${place} is`, value, 'value');
  if (value === null)
    return { code: 'empty-value', message: `${place} is empty. Specify the value of the label, or "" for an empty value.` };
  if (Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'string')) {
    const example = `{key: ${fieldsOfPointer(pointer).at(-1)}, operator: In, values: [${value.slice(0, 10).join(', ')}]}`;
    const isValid = /^[\w./, :{}[\]-]+$/.test(example) && example.length <= maxQuotedLength && value.length <= 10;
    const requirement = isValid ? example : '{key: label, operator: In, values: [value]}';
    return wrongType(`${place} is a list, but a label has one value. For several values, use matchExpressions: [${requirement}].`);
  }
  return describeText(pointer, value, [], data);
}

function badLabelKey(pointer: string, key: string, data: YamlDocument): DocumentProblem {
  return { ...badLabel(`${renderPointer(pointer)} has`, key, 'key'), position: data.locateField(`${pointer}/${escapePointer(key)}`) };
}

function badLabel(subject: string, text: string, what: 'key' | 'value'): Description {
  const prefix = what === 'key' ? ' It may have a prefix, as in example.com/team.' : '';
  const fix = `A label ${what} can have at most 63 characters (letters, digits, "-", "_" and "."), and must start and end with a letter or digit.${prefix}`;
  return { code: 'bad-label', message: `${subject} ${quote(text)}, which is not a valid label ${what}. ${fix}` };
}

function describeDay(place: string, value: unknown, what: string): Description {
  const example = 'year, month and day, for example 2027-03-31';
  if (value === null || value === '') return { code: 'empty-value', message: `${place} is empty. Set ${what}, for example 2027-03-31.` };
  if (typeof value !== 'string') return wrongType(`${place} is ${kindOf(value)}. Use ${example}.`);
  const [, year, month = '', date = ''] = /^(\d{4})-(\d{1,2})-(\d{1,2})$/.exec(value) ?? [];
  const padded = `${year}-${month.padStart(2, '0')}-${date.padStart(2, '0')}`;
  if (padded !== value && isCalendarDay(padded)) {
    return { code: 'bad-day', message: `${place} is ${quote(value)}. Use two digits for month and day: ${padded}.` };
  }
  const day = value.slice(0, 10);
  const fix = isCalendarDay(day)
    ? `Use only the date, in UTC: ${day}.`
    : /^\d{4}-\d{2}-\d{2}$/.test(value)
      ? 'This date does not exist.'
      : `Use ${example}.`;
  return { code: 'bad-day', message: `${place} is ${quote(value)}. ${fix}` };
}

function describeDuration(place: string, value: unknown): Description {
  const example = 'a whole number with s, m, h or d, for example 24h';
  if (value === null || value === '') return emptyValue(place, example);
  if (typeof value === 'number') return wrongType(`${place} is the number ${value}. Add the unit: ${value}h.`);
  if (typeof value !== 'string') return wrongType(`${place} is ${kindOf(value)}. Use ${example}.`);
  return { code: 'bad-duration', message: `${place} is ${quote(value)}. Use ${example}.` };
}

const acceptsList: ReadonlySet<string> = new Set(['registry', 'image', 'pullSecret', 'namespaces']);
const isPattern: ReadonlySet<string> = new Set(['registry', 'image', 'internalRegistries', 'delegate', 'shortNames']);

function describeText(pointer: string, value: unknown, errors: readonly ErrorObject[], data: YamlDocument): Description {
  const place = renderPointer(pointer);
  const { field = '', isEntry } = fieldAt(pointer);
  const isSecret = isSecretName(pointer, field);
  const what = isSecret ? 'the name of a secret' : nameOf(field);
  const orList = acceptsList.has(field) && !isEntry;
  const comment = value === null ? data.commentAt(pointer) : undefined;
  if (comment !== undefined && /^\S+$/.test(comment)) {
    return {
      code: 'empty-value',
      message: `${place} is empty. In YAML, # starts a comment. Put the value in quotes: ${quote(`#${comment}`)}.`,
    };
  }
  if (value === null || value === '') return emptyValue(place, what);
  if (typeof value === 'number' || typeof value === 'boolean') {
    return wrongType(`${place} is ${kindOf(value)} in YAML, not a string. Put it in quotes: ${quote(data.spelling(pointer))}.`);
  }
  if (Array.isArray(value) && value.length === 0 && orList) {
    const removable = field === 'pullSecret' ? ', or remove the field' : '';
    return { code: 'empty-value', message: `${place} is an empty list. Specify ${what}${removable}.` };
  }
  if (typeof value !== 'string') return wrongType(`${place} is ${kindOf(value)}. Specify ${what}${orList ? ', or a list' : ''}.`);
  if (field === 'helpUrl') return badUrl(place, value, errors);
  return isSecret ? badSecretName(place, value) : badText(place, value, errors);
}

function isSecretName(pointer: string, field: string): boolean {
  return field === 'pullSecret' || field === 'pushSecret' || (isDeliveredSecret(parentOf(pointer)) && ['name', 'source'].includes(field));
}

function nameOf(field: string): string {
  if (field === 'namespaces') return 'the name of a namespace';
  if (field === 'image') return 'a pattern: host[:port][/path]';
  if (field === 'helpUrl') return 'a URL';
  return isPattern.has(field) ? 'a registry' : 'one line of text';
}

function badSecretName(place: string, value: string): Description {
  const fix = value.includes('/')
    ? `Specify the name without a namespace. ${place.endsWith('.source') ? "The source is always in regkeeper's own namespace." : 'A Pod can use only secrets in its own namespace.'}`
    : 'Use at most 253 lower-case letters, digits, "-" and ".". Start and end with a letter or digit.';
  return { code: 'bad-secret-name', message: `${place} is ${quote(value)}, which is not a valid secret name. ${fix}` };
}

function badUrl(place: string, value: string, errors: readonly ErrorObject[]): Description {
  const limit = errors.find(({ keyword }) => keyword === 'maxLength')?.params.limit;
  const message =
    limit === undefined
      ? `${place} is ${quote(value)}, which is not a valid URL. Use an http:// or https:// URL such as https://wiki.example.com/registries.`
      : `${place} has ${formatCount(value.length)} characters. The maximum is ${formatCount(limit)}.`;
  return { code: 'bad-url', message };
}

function badText(place: string, value: string, errors: readonly ErrorObject[]): Description {
  const limit = errors.find(({ keyword }) => keyword === 'maxLength')?.params.limit;
  const message =
    limit === undefined
      ? `${place} must be one line that starts with a visible character and has no control characters. A folded string (">-") becomes one line.`
      : `${place} has ${formatCount(value.length)} characters. The maximum is ${formatCount(limit)}.`;
  return { code: 'bad-text', message };
}

function emptyValue(place: string, what: string): Description {
  const removable =
    !/(registry|image|until|key|operator|^exemptions\[\d+\]\.reason|^overrides\[\d+\]\.namespaces|^secrets\[\d+\]\.(name|source|namespaces))$/.test(
      place,
    );
  return { code: 'empty-value', message: `${place} is empty. Specify ${what}${removable ? ', or remove the field' : ''}.` };
}

function wrongType(message: string): Description {
  return { code: 'wrong-type', message };
}

function kindOf(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'string') return 'a string';
  return typeof value === 'number' ? `the number ${value}` : `the boolean ${value}`;
}

function allowedValues(errors: readonly ErrorObject[]): readonly string[] {
  return errors.find(({ keyword }) => keyword === 'enum')?.params.allowedValues ?? [];
}

function shorten(text: string): string {
  return quote(text).slice(1, -1);
}

/** The field of a value, and whether the value is an entry of the field's list or mapping. Label keys may look like indexes. */
function fieldAt(pointer: string): { readonly field: string | undefined; readonly isEntry: boolean } {
  const fields = fieldsOfPointer(pointer);
  const last = fields.at(-1) ?? '';
  const above = fields.at(-2);
  if (above === 'matchLabels') return { field: above, isEntry: true };
  return isIndex(last) ? { field: above, isEntry: true } : { field: fields.at(-1), isEntry: false };
}

function isIndex(field: string): boolean {
  return /^[0-9]+$/.test(field);
}

function parentOf(pointer: string): string {
  return pointer.slice(0, Math.max(0, pointer.lastIndexOf('/')));
}
