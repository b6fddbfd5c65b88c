/** Checks a rules document against the schema and describes each difference in one sentence. */
import type { ErrorObject } from 'ajv/dist/2020.js';
import { quote } from '../../image/problem.ts';
import { escapePointer, fieldsOfPointer } from '../../yaml/json-pointer.ts';
import type { YamlDocument } from '../../yaml/read-document.ts';
import { closestSpelling } from '../closest-spelling.ts';
import { isCalendarDay } from './calendar-day.ts';
import type { DocumentProblem } from './document.ts';
import { parsePattern } from './pattern.ts';
import { type FieldsOfLevel, fieldsOfLevel, type Level, schemaErrors } from './schema.ts';

/** How a document differs from the schema. */
export type SchemaCheck = {
  readonly problems: readonly DocumentProblem[];
  /** JSON pointers of values that are missing or do not match the schema. All other values can be used. */
  readonly invalid: ReadonlySet<string>;
};

/**
 * Compares the data with the schema and reports each difference once, at its position. `fields` are the fields that the scope allows. A field
 * of the schema that is not among them gets one problem about the scope and no other. `rejected` are JSON pointers of values whose problem is
 * already reported.
 */
export function checkSchema(
  data: YamlDocument,
  fields: FieldsOfLevel = fieldsOfLevel,
  rejected: ReadonlySet<string> = new Set(),
): SchemaCheck {
  if (rejected.has('')) return { problems: [], invalid: rejected };
  const disallowed = fields === fieldsOfLevel ? [] : disallowedFields(data.value, fields);
  const problems = disallowed.map(({ pointer, field }) => disallowedField(pointer, field, data));
  const reported = new Set([...disallowed.map(({ pointer }) => pointer), ...rejected]);
  const invalid = new Set(reported);
  for (const [pointer, group] of groupByPointer(schemaErrors(data.value))) {
    if (isIn(pointer, reported)) continue;
    if (group.some(({ keyword }) => !isAboutField(keyword))) invalid.add(pointer);
    for (const field of missingIn(group)) invalid.add(`${pointer}/${field}`);
    problems.push(...describeGroup(pointer, group, data, fields));
  }
  return { problems, invalid };
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
      ? 'rules of a namespace of its own apply in that namespace alone'
      : "rules of a namespace of its own hold registries only, since they can neither loosen nor reach beyond it; the cluster's rules may say it";
  return { code: 'namespace-scope', message: `${renderPointer(pointer)}: ${why}; remove the field`, position: data.locateField(pointer) };
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
  const problems = unknown.map((field) =>
    level === 'labels' ? badLabelKey(pointer, field, data) : unknownField({ pointer, level, field, fields }, data),
  );
  // A misspelt field is one mistake. It is not also reported as missing.
  const isMisspelt = (field: string) => level !== 'labels' && unknown.some((name) => meantField(level, name, fields) === field);
  const missing = missingIn(errors).filter((field) => !isMisspelt(field));
  problems.push(...missing.map((field) => missingField(pointer, field, data)));
  const [first] = others;
  if (first) problems.push({ ...describeValue(pointer, first.data, others, data), position: data.locate(pointer) });
  return problems;
}

/** The mapping of the rules format at a pointer. `labels` is the mapping of `matchLabels`, whose fields are label keys. */
function levelOf(pointer: string): Level | 'labels' {
  if (pointer === '') return 'document';
  if (/^\/rules\/\d+$/.test(pointer)) return 'rule';
  if (/^\/exemptions\/\d+$/.test(pointer)) return 'exemption';
  if (/^\/overrides\/\d+$/.test(pointer)) return 'override';
  if (pointer.endsWith('/matchLabels')) return 'labels';
  return /\/matchExpressions\/\d+$/.test(pointer) ? 'requirement' : 'selector';
}

const placeOfLevel: Readonly<Record<Level, string>> = {
  document: 'at the top level',
  rule: 'into an entry of rules',
  exemption: 'into an entry of exemptions',
  override: 'into an entry of overrides',
  selector: 'into namespaces',
  requirement: 'into an entry of matchExpressions',
};

/** Fields that have another name at another level, so that authors confuse them. */
const otherNames: { readonly [Name in Level]?: Readonly<Record<string, string>> } = {
  rule: { image: 'registry' },
  exemption: { registry: 'image' },
};

function meantField(level: Level, field: string, fields: FieldsOfLevel): string | undefined {
  const otherName = otherNames[level];
  return otherName && Object.hasOwn(otherName, field) ? otherName[field] : closestSpelling(field, fields[level]);
}

type UnknownField = { readonly pointer: string; readonly level: Level; readonly field: string; readonly fields: FieldsOfLevel };

function unknownField({ pointer, level, field, fields }: UnknownField, data: YamlDocument): DocumentProblem {
  const where = level === 'document' ? placeOfLevel.document : `in ${renderPointer(pointer)}`;
  const meant = meantField(level, field, fields);
  const elsewhere = levels.filter((other) => fields[other].includes(field));
  let message = `unknown field ${quote(field)} ${where}`;
  if (meant !== undefined && (elsewhere.length === 0 || Object.hasOwn(otherNames[level] ?? {}, field))) {
    message += `; did you mean ${quote(meant)}?`;
  } else if (elsewhere.length > 0) message += `; it belongs ${elsewhere.map((other) => placeOfLevel[other]).join(' or ')}`;
  else message += `: it is not known to this version; known here are ${fields[level].join(', ')}`;
  return { code: 'unknown-field', message, position: data.locateField(`${pointer}/${escapePointer(field)}`) };
}

const levels = Object.keys(fieldsOfLevel) as readonly Level[];

const whyNeeded: Readonly<Record<string, string>> = {
  registry: 'say which registry the rule is about',
  image: 'say which images are let in: host[:port][/path]',
  until: 'an exemption ends by itself, so that nobody has to remember it: write the last day on which it holds, as in "until: 2027-03-31"',
  reason: 'say in one line why the image is let in, for whoever meets it in a year',
  namespaces: 'say for which namespaces the settings hold; what holds everywhere is written at the top level',
  key: 'say which label the requirement is about',
  operator: 'write In, NotIn, Exists or DoesNotExist',
};

function missingField(pointer: string, field: string, data: YamlDocument): DocumentProblem {
  const message = `${renderPointer(pointer)} has no ${field}; ${whyNeeded[field] ?? 'write it'}`;
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
    case 'matchExpressions':
      return isEntry ? describeEntry(place, field, value) : describeList(place, value, `"- ${firstField[field]}: ..." entries`);
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
    case 'onMissingSecret':
    case 'operator':
      return describeChoice(place, value, errors);
    case 'shortNames':
      return isEntry ? describeText(pointer, value, errors, data) : describeShortNames(place, value, errors);
    case 'namespaces':
      return describeNamespaces(pointer, value, errors, data);
    case 'matchLabels':
      return isEntry ? describeLabel(pointer, value, data) : describeMapping(place, value, '"label: value" lines');
    case 'values':
      return isEntry ? describeLabel(pointer, value, data) : describeList(place, value, '"- value" entries');
    case 'key':
      return typeof value === 'string' && value !== '' ? badLabel(place, value, 'key') : describeText(pointer, value, errors, data);
    case 'until':
      return describeDay(place, value);
    default:
      return describeText(pointer, value, errors, data);
  }
}

function describeDocument(value: unknown): Description {
  if (Array.isArray(value)) return wrongType('the document is a list; if these are the rules, put them under "rules:"');
  return wrongType(`the document is ${kindOf(value)}, not a mapping with fields such as "rules:"`);
}

const firstField = { rules: 'registry', exemptions: 'image', overrides: 'namespaces', matchExpressions: 'key' } as const;
const oneEntry = { rules: 'a rule', exemptions: 'an exemption', overrides: 'an override', matchExpressions: 'a requirement' } as const;

function describeEntry(place: string, list: keyof typeof oneEntry, value: unknown): Description {
  const first = firstField[list];
  if (typeof value === 'string') return wrongType(`${place} is text; write "${first}: ${shorten(value)}" behind the dash`);
  if (value === null) {
    return { code: 'empty-value', message: `${place} is empty; write ${oneEntry[list]} behind the dash, or remove the dash` };
  }
  return wrongType(`${place} is ${kindOf(value)}, not ${oneEntry[list]}; write "${first}: ..." behind the dash`);
}

function describeList(place: string, value: unknown, entries: string): Description {
  if (value === null)
    return { code: 'empty-value', message: `${place} is empty; write ${entries} below it, or [] for none, or remove the field` };
  return wrongType(`${place} is ${kindOf(value)}, not a list; write ${entries} below it`);
}

function describeMapping(place: string, value: unknown, lines: string): Description {
  if (value === null) return { code: 'empty-value', message: `${place} is empty; write ${lines} below it, or remove the field` };
  return wrongType(`${place} is ${kindOf(value)}, not a mapping; write ${lines} below it`);
}

// In YAML 1.2 only true and false are booleans. yes, on and quoted words are text.
function describeTrust(place: string, value: unknown): Description {
  if (value === null) return emptyValue(place, 'true or false');
  if (typeof value !== 'string') return wrongType(`${place} is ${kindOf(value)}; write true or false`);
  const word = value.toLowerCase();
  if (['true', 'yes', 'on', 'y'].includes(word)) return wrongType(`${place} is the text ${quote(value)}; write true without quotes`);
  if (['false', 'no', 'off', 'n'].includes(word)) return wrongType(`${place} is the text ${quote(value)}; write false without quotes`);
  return wrongType(`${place} is the text ${quote(value)}; write true or false`);
}

function describeChoice(place: string, value: unknown, errors: readonly ErrorObject[]): Description {
  const allowed = allowedValues(errors);
  if (value === null) return emptyValue(place, oneOf(allowed));
  if (typeof value !== 'string') return wrongType(`${place} is ${kindOf(value)}; write ${oneOf(allowed)}`);
  const near = closestSpelling(value, allowed);
  const fix = near ? `did you mean ${quote(near)}?` : `write ${oneOf(allowed)}`;
  return { code: 'unknown-value', message: `${place} is ${quote(value)}; ${fix}` };
}

function describeShortNames(place: string, value: unknown, errors: readonly ErrorObject[]): Description {
  const words = [...allowedValues(errors).map((word) => quote(word)), 'a list of hosts'];
  if (value === null || value === '') return emptyValue(place, oneOf(words));
  if (Array.isArray(value))
    return { code: 'empty-value', message: `${place} is an empty list; write ${oneOf(words)}, or remove the field` };
  if (typeof value !== 'string') return wrongType(`${place} is ${kindOf(value)}; write ${oneOf(words)}`);
  const near = closestSpelling(value, allowedValues(errors));
  const fix = near
    ? `did you mean ${quote(near)}?`
    : parsePattern(value).ok
      ? `one host is a list too: [${shorten(value)}]`
      : `write ${oneOf(words)}`;
  return { code: 'unknown-value', message: `${place} is ${quote(value)}; ${fix}` };
}

function describeNamespaces(pointer: string, value: unknown, errors: readonly ErrorObject[], data: YamlDocument): Description {
  const place = renderPointer(pointer);
  const { isEntry } = fieldAt(pointer);
  const choice = isEntry ? 'the name of a namespace' : 'a name, a list of names, or {matchLabels: {label: value}}';
  if (value === null || value === '') return emptyValue(place, choice);
  if (Array.isArray(value) && value.length === 0) {
    return { code: 'empty-value', message: `${place} is an empty list, which selects nothing; write ${choice}, or remove the field` };
  }
  if (isEntry && typeof value === 'object' && !Array.isArray(value)) {
    return wrongType(`${place} is a mapping; a list holds names only, so write labels without list: {matchLabels: {label: value}}`);
  }
  return typeof value === 'string' ? badNamespace(place, value) : describeText(pointer, value, errors, data);
}

function badNamespace(place: string, value: string): Description {
  const fix = /^[A-Za-z0-9*]([-A-Za-z0-9*]*[A-Za-z0-9*])?$/.test(value) && value.length <= 63 ? fixOfCase(value) : fixOfNamespace(value);
  return { code: 'bad-namespace', message: `${place} is ${quote(value)}, which no namespace is called; ${fix}` };
}

function fixOfCase(value: string): string {
  return `names are lower case: write ${quote(value.toLowerCase())}`;
}

function fixOfNamespace(value: string): string {
  if (value.length > 63) return `a name has at most 63 characters, and this has ${value.length}`;
  if (value.includes(',') || /\s/.test(value)) return 'write several names as a list: [a, b]';
  if (value.includes('=')) return 'labels are written {matchLabels: {label: value}}';
  return 'a name has lower-case letters, digits and -, begins and ends with a letter or digit; only * is special, for any characters';
}

function describeLabel(pointer: string, value: unknown, data: YamlDocument): Description {
  const place = renderPointer(pointer);
  if (typeof value === 'string') return badLabel(place, value, 'value');
  if (value === null) return { code: 'empty-value', message: `${place} is empty; write the label's value, or "" for an empty one` };
  return describeText(pointer, value, [], data);
}

function badLabelKey(pointer: string, key: string, data: YamlDocument): DocumentProblem {
  return { ...badLabel(renderPointer(pointer), key, 'key'), position: data.locateField(`${pointer}/${escapePointer(key)}`) };
}

function badLabel(place: string, text: string, what: 'key' | 'value'): Description {
  const grammar = 'at most 63 letters, digits, -, _ and ., and begins and ends with a letter or digit';
  const fix =
    what === 'value'
      ? `a value has ${grammar}`
      : `a key has ${grammar}; before it there may be a domain and a slash, as in example.com/team`;
  return { code: 'bad-label', message: `${place} has the ${what} ${quote(text)}, which no label can have; ${fix}` };
}

function describeDay(place: string, value: unknown): Description {
  const example = 'year, month and day, as in 2027-03-31';
  if (value === null || value === '')
    return { code: 'empty-value', message: `${place} is empty; write the last day on which the exemption holds: ${example}` };
  if (typeof value !== 'string') return wrongType(`${place} is ${kindOf(value)}; write ${example}`);
  const day = value.slice(0, 10);
  const fix = isCalendarDay(day)
    ? `write the day alone, ${day}; it counts in UTC`
    : /^\d{4}-\d{2}-\d{2}$/.test(value)
      ? 'the calendar has no such day'
      : `write ${example}`;
  return { code: 'bad-day', message: `${place} is ${quote(value)}; ${fix}` };
}

const acceptsList: ReadonlySet<string> = new Set(['registry', 'image', 'pullSecret', 'namespaces']);
const isPattern: ReadonlySet<string> = new Set(['registry', 'image', 'internalRegistries', 'delegate', 'shortNames']);

function describeText(pointer: string, value: unknown, errors: readonly ErrorObject[], data: YamlDocument): Description {
  const place = renderPointer(pointer);
  const { field = '', isEntry } = fieldAt(pointer);
  const isSecret = field === 'pullSecret' || field === 'pushSecret';
  const what = nameOf(field);
  const orList = acceptsList.has(field) && !isEntry;
  if (value === null || value === '') return emptyValue(place, what);
  if (typeof value === 'number' || typeof value === 'boolean') {
    return wrongType(
      `${place} is ${kindOf(value)} to YAML, not a text; if it is meant, put it in quotes: ${quote(data.spelling(pointer))}`,
    );
  }
  if (Array.isArray(value) && value.length === 0 && orList) {
    const removable = field === 'pullSecret' ? ', or remove the field' : '';
    return { code: 'empty-value', message: `${place} is an empty list; write ${what}${removable}` };
  }
  if (typeof value !== 'string') return wrongType(`${place} is ${kindOf(value)}; write ${what}${orList ? ' or a list of them' : ''}`);
  if (field === 'helpUrl') return badUrl(place, value, errors);
  return isSecret ? badSecretName(place, value) : badText(place, value, errors);
}

function nameOf(field: string): string {
  if (field === 'pullSecret' || field === 'pushSecret') return 'the name of a secret';
  if (field === 'namespaces') return 'the name of a namespace';
  if (field === 'image') return 'a pattern: host[:port][/path]';
  if (field === 'helpUrl') return 'a web address';
  return isPattern.has(field) ? 'a registry' : 'a text';
}

function badSecretName(place: string, value: string): Description {
  const fix = value.includes('/')
    ? 'write the name alone, since a pod can only use secrets of its own namespace'
    : 'a name has lower-case letters, digits, - and ., begins and ends with a letter or digit, and is at most 253 characters long';
  return { code: 'bad-secret-name', message: `${place} is ${quote(value)}, which is not a secret's name; ${fix}` };
}

function badUrl(place: string, value: string, errors: readonly ErrorObject[]): Description {
  const limit = errors.find(({ keyword }) => keyword === 'maxLength')?.params.limit;
  const message =
    limit === undefined
      ? `${place} is ${quote(value)}, which is not a web address; write http:// or https:// with a host, as in https://wiki.example.com/registries`
      : `${place} is ${value.length} characters long; at most ${limit} are allowed`;
  return { code: 'bad-url', message };
}

function badText(place: string, value: string, errors: readonly ErrorObject[]): Description {
  const limit = errors.find(({ keyword }) => keyword === 'maxLength')?.params.limit;
  const message =
    limit === undefined
      ? `${place} must be one line that begins with a visible character, without control characters; a folded text (">-") becomes one line`
      : `${place} is ${value.length} characters long; at most ${limit} are allowed`;
  return { code: 'bad-text', message };
}

function emptyValue(place: string, what: string): Description {
  const removable = !/(registry|image|until|key|operator|^exemptions\[\d+\]\.reason|^overrides\[\d+\]\.namespaces)$/.test(place);
  return { code: 'empty-value', message: `${place} is empty; write ${what}${removable ? ', or remove it' : ''}` };
}

function wrongType(message: string): Description {
  return { code: 'wrong-type', message };
}

function kindOf(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'string') return 'a text';
  return typeof value === 'number' ? `the number ${value}` : `the word ${value}`;
}

function allowedValues(errors: readonly ErrorObject[]): readonly string[] {
  return errors.find(({ keyword }) => keyword === 'enum')?.params.allowedValues ?? [];
}

function oneOf(words: readonly string[]): string {
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
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
