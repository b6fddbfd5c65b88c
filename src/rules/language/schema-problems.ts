import type { ErrorObject } from 'ajv/dist/2020.js';
import { quote } from '../../image/problem.ts';
import { isCalendarDay } from './calendar-day.ts';
import { closestSpelling } from './closest-spelling.ts';
import { escapePointer, type Finding, type LocatedData } from './document.ts';
import { parsePattern } from './pattern.ts';
import { type FieldsOfLevel, fieldsOfLevel, type Level, schemaErrors } from './schema.ts';

/** Where a document differs from the schema, and the same in sentences. */
export type SchemaFindings = {
  readonly findings: readonly Finding[];
  /** JSON pointers of the values that are missing or not what the schema says; values beside and around them can be used, without these. */
  readonly unfit: ReadonlySet<string>;
};

/**
 * Compares the data with the schema, and words each difference once, where its author wrote it. With `fields` that are fewer than the
 * schema's, the others are a problem of the scope, and nothing else is said of them; nor of `lost`, values whose problem is told already.
 */
export function checkSchema(
  data: LocatedData,
  fields: FieldsOfLevel = fieldsOfLevel,
  lost: ReadonlySet<string> = new Set(),
): SchemaFindings {
  if (lost.has('')) return { findings: [], unfit: lost };
  const foreign = fields === fieldsOfLevel ? [] : foreignFields(data.value, fields);
  const findings = foreign.map(({ pointer, field }) => foreignField(pointer, field, data));
  const settled = new Set([...foreign.map(({ pointer }) => pointer), ...lost]);
  const unfit = new Set(settled);
  for (const [pointer, group] of groupByPointer(schemaErrors(data.value))) {
    if (isIn(pointer, settled)) continue;
    if (group.some(({ keyword }) => !isAboutField(keyword))) unfit.add(pointer);
    for (const field of missingIn(group)) unfit.add(`${pointer}/${field}`);
    findings.push(...wordGroup(pointer, group, data, fields));
  }
  return { findings, unfit };
}

/** `/rules/2/pullSecret` as people write it: `rules[2].pullSecret`. */
export function renderPointer(pointer: string): string {
  const fields = fieldsOf(pointer);
  const path = fields.map((field, index) => {
    if (fields[index - 1] !== 'matchLabels' && isIndex(field)) return `[${field}]`;
    return /^[A-Za-z][\w-]*$/.test(field) ? `.${field}` : `[${quote(field)}]`;
  });
  return path.join('').replace(/^\./, '');
}

type ForeignField = { readonly pointer: string; readonly field: string };

/** Fields that the schema knows and the scope does not, at the top level and in rules. */
function foreignFields(value: unknown, fields: FieldsOfLevel): readonly ForeignField[] {
  const document = foreignIn(value, '', 'document', fields);
  const rules = isMapping(value) && Array.isArray(value.rules) ? value.rules : [];
  return [...document, ...rules.flatMap((rule, index) => foreignIn(rule, `/rules/${index}`, 'rule', fields))];
}

function foreignIn(value: unknown, pointer: string, level: Level, fields: FieldsOfLevel): ForeignField[] {
  if (!isMapping(value)) return [];
  const foreign = fieldsOfLevel[level].filter((field) => !fields[level].includes(field) && field in value);
  return foreign.map((field) => ({ pointer: `${pointer}/${field}`, field }));
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function foreignField(pointer: string, field: string, data: LocatedData): Finding {
  const why =
    field === 'namespaces'
      ? 'rules of a namespace of its own apply in that namespace alone'
      : "rules of a namespace of its own hold registries only, since they can neither loosen nor reach beyond it; the cluster's rules may say it";
  return { code: 'namespace-scope', message: `${renderPointer(pointer)}: ${why}; remove the field`, position: data.locateField(pointer) };
}

/** Whether the pointer, or one above it, is among those. */
function isIn(pointer: string, pointers: ReadonlySet<string>): boolean {
  for (let at = pointer; pointers.size > 0 && at !== ''; at = parentOf(at)) if (pointers.has(at)) return true;
  return false;
}

/** Errors by place. A choice of types gives errors for each type: only those of the type that its author took are kept. */
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

function wordGroup(pointer: string, errors: readonly ErrorObject[], data: LocatedData, fields: FieldsOfLevel): Finding[] {
  const unknown = errors.filter(({ keyword }) => keyword === 'additionalProperties').map(({ params }): string => params.additionalProperty);
  const others = errors.filter(({ keyword }) => !isAboutField(keyword));
  const level = levelOf(pointer);
  const findings = unknown.map((field) =>
    level === 'labels' ? badLabelKey(pointer, field, data) : unknownField({ pointer, level, field, fields }, data),
  );
  // A misspelt field is one mistake, not also a missing one.
  const isMisspelt = (field: string) => level !== 'labels' && unknown.some((name) => meantField(level, name, fields) === field);
  const missing = missingIn(errors).filter((field) => !isMisspelt(field));
  findings.push(...missing.map((field) => missingField(pointer, field, data)));
  const [first] = others;
  if (first) findings.push({ ...wordValue(pointer, first.data, others, data), position: data.locate(pointer) });
  return findings;
}

/** Which mapping of the format stands at a pointer; `labels` is that of `matchLabels`, whose fields are the author's. */
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

/** Fields that are called otherwise at another level, and taken for each other. */
const otherNames: { readonly [Name in Level]?: Readonly<Record<string, string>> } = {
  rule: { image: 'registry' },
  exemption: { registry: 'image' },
};

function meantField(level: Level, field: string, fields: FieldsOfLevel): string | undefined {
  const otherName = otherNames[level];
  return otherName && Object.hasOwn(otherName, field) ? otherName[field] : closestSpelling(field, fields[level]);
}

type UnknownField = { readonly pointer: string; readonly level: Level; readonly field: string; readonly fields: FieldsOfLevel };

function unknownField({ pointer, level, field, fields }: UnknownField, data: LocatedData): Finding {
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

function missingField(pointer: string, field: string, data: LocatedData): Finding {
  const message = `${renderPointer(pointer)} has no ${field}; ${whyNeeded[field] ?? 'write it'}`;
  return { code: 'missing-field', message, position: data.locate(pointer) };
}

type Wording = Pick<Finding, 'code' | 'message'>;

function wordValue(pointer: string, value: unknown, errors: readonly ErrorObject[], data: LocatedData): Wording {
  const place = renderPointer(pointer);
  const { field, isEntry } = fieldAt(pointer);
  switch (field) {
    case undefined:
      return wordDocument(value);
    case 'rules':
    case 'exemptions':
    case 'overrides':
    case 'matchExpressions':
      return isEntry ? wordEntry(place, field, value) : wordList(place, value, `"- ${firstField[field]}: ..." entries`);
    case 'internalRegistries':
      if (!isEntry) return wordList(place, value, '"- host:port" entries');
      return wordText(pointer, value, errors, data);
    case 'delegate':
      if (!isEntry) return wordList(place, value, '"- host/path" entries');
      return wordText(pointer, value, errors, data);
    case 'trust':
      return wordTrust(place, value);
    case 'mode':
    case 'unconfigured':
    case 'inject':
    case 'onMissingSecret':
    case 'operator':
      return wordChoice(place, value, errors);
    case 'shortNames':
      return isEntry ? wordText(pointer, value, errors, data) : wordShortNames(place, value, errors);
    case 'namespaces':
      return wordNamespaces(pointer, value, errors, data);
    case 'matchLabels':
      return isEntry ? wordLabel(pointer, value, data) : wordMapping(place, value, '"label: value" lines');
    case 'values':
      return isEntry ? wordLabel(pointer, value, data) : wordList(place, value, '"- value" entries');
    case 'key':
      return typeof value === 'string' && value !== '' ? badLabel(place, value, 'key') : wordText(pointer, value, errors, data);
    case 'until':
      return wordDay(place, value);
    default:
      return wordText(pointer, value, errors, data);
  }
}

function wordDocument(value: unknown): Wording {
  if (Array.isArray(value)) return wrongType('the document is a list; if these are the rules, put them under "rules:"');
  return wrongType(`the document is ${kindOf(value)}, not a mapping with fields such as "rules:"`);
}

const firstField = { rules: 'registry', exemptions: 'image', overrides: 'namespaces', matchExpressions: 'key' } as const;
const oneEntry = { rules: 'a rule', exemptions: 'an exemption', overrides: 'an override', matchExpressions: 'a requirement' } as const;

function wordEntry(place: string, list: keyof typeof oneEntry, value: unknown): Wording {
  const first = firstField[list];
  if (typeof value === 'string') return wrongType(`${place} is text; write "${first}: ${shorten(value)}" behind the dash`);
  if (value === null) {
    return { code: 'empty-value', message: `${place} is empty; write ${oneEntry[list]} behind the dash, or remove the dash` };
  }
  return wrongType(`${place} is ${kindOf(value)}, not ${oneEntry[list]}; write "${first}: ..." behind the dash`);
}

function wordList(place: string, value: unknown, entries: string): Wording {
  if (value === null)
    return { code: 'empty-value', message: `${place} is empty; write ${entries} below it, or [] for none, or remove the field` };
  return wrongType(`${place} is ${kindOf(value)}, not a list; write ${entries} below it`);
}

function wordMapping(place: string, value: unknown, lines: string): Wording {
  if (value === null) return { code: 'empty-value', message: `${place} is empty; write ${lines} below it, or remove the field` };
  return wrongType(`${place} is ${kindOf(value)}, not a mapping; write ${lines} below it`);
}

// YAML 1.2 knows true and false only; yes, on and quoted words are text.
function wordTrust(place: string, value: unknown): Wording {
  if (value === null) return emptyValue(place, 'true or false');
  if (typeof value !== 'string') return wrongType(`${place} is ${kindOf(value)}; write true or false`);
  const word = value.toLowerCase();
  if (['true', 'yes', 'on', 'y'].includes(word)) return wrongType(`${place} is the text ${quote(value)}; write true without quotes`);
  if (['false', 'no', 'off', 'n'].includes(word)) return wrongType(`${place} is the text ${quote(value)}; write false without quotes`);
  return wrongType(`${place} is the text ${quote(value)}; write true or false`);
}

function wordChoice(place: string, value: unknown, errors: readonly ErrorObject[]): Wording {
  const allowed = allowedValues(errors);
  if (value === null) return emptyValue(place, oneOf(allowed));
  if (typeof value !== 'string') return wrongType(`${place} is ${kindOf(value)}; write ${oneOf(allowed)}`);
  const near = closestSpelling(value, allowed);
  const fix = near ? `did you mean ${quote(near)}?` : `write ${oneOf(allowed)}`;
  return { code: 'unknown-value', message: `${place} is ${quote(value)}; ${fix}` };
}

function wordShortNames(place: string, value: unknown, errors: readonly ErrorObject[]): Wording {
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

function wordNamespaces(pointer: string, value: unknown, errors: readonly ErrorObject[], data: LocatedData): Wording {
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
  return typeof value === 'string' ? badNamespace(place, value) : wordText(pointer, value, errors, data);
}

function badNamespace(place: string, value: string): Wording {
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

function wordLabel(pointer: string, value: unknown, data: LocatedData): Wording {
  const place = renderPointer(pointer);
  if (typeof value === 'string') return badLabel(place, value, 'value');
  if (value === null) return { code: 'empty-value', message: `${place} is empty; write the label's value, or "" for an empty one` };
  return wordText(pointer, value, [], data);
}

function badLabelKey(pointer: string, key: string, data: LocatedData): Finding {
  return { ...badLabel(renderPointer(pointer), key, 'key'), position: data.locateField(`${pointer}/${escapePointer(key)}`) };
}

function badLabel(place: string, text: string, what: 'key' | 'value'): Wording {
  const grammar = 'at most 63 letters, digits, -, _ and ., and begins and ends with a letter or digit';
  const fix =
    what === 'value'
      ? `a value has ${grammar}`
      : `a key has ${grammar}; before it there may be a domain and a slash, as in example.com/team`;
  return { code: 'bad-label', message: `${place} has the ${what} ${quote(text)}, which no label can have; ${fix}` };
}

function wordDay(place: string, value: unknown): Wording {
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

const takesList: ReadonlySet<string> = new Set(['registry', 'image', 'pullSecret', 'namespaces']);
const isPattern: ReadonlySet<string> = new Set(['registry', 'image', 'internalRegistries', 'delegate', 'shortNames']);

function wordText(pointer: string, value: unknown, errors: readonly ErrorObject[], data: LocatedData): Wording {
  const place = renderPointer(pointer);
  const { field = '', isEntry } = fieldAt(pointer);
  const isSecret = field === 'pullSecret' || field === 'pushSecret';
  const what = nameOf(field);
  const orList = takesList.has(field) && !isEntry;
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

function badSecretName(place: string, value: string): Wording {
  const fix = value.includes('/')
    ? 'write the name alone, since a pod can only use secrets of its own namespace'
    : 'a name has lower-case letters, digits, - and ., begins and ends with a letter or digit, and is at most 253 characters long';
  return { code: 'bad-secret-name', message: `${place} is ${quote(value)}, which is not a secret's name; ${fix}` };
}

function badUrl(place: string, value: string, errors: readonly ErrorObject[]): Wording {
  const limit = errors.find(({ keyword }) => keyword === 'maxLength')?.params.limit;
  const message =
    limit === undefined
      ? `${place} is ${quote(value)}, which is not a web address; write http:// or https:// with a host, as in https://wiki.example.com/registries`
      : `${place} is ${value.length} characters long; at most ${limit} are allowed`;
  return { code: 'bad-url', message };
}

function badText(place: string, value: string, errors: readonly ErrorObject[]): Wording {
  const limit = errors.find(({ keyword }) => keyword === 'maxLength')?.params.limit;
  const message =
    limit === undefined
      ? `${place} must be one line that begins with a visible character, without control characters; a folded text (">-") becomes one line`
      : `${place} is ${value.length} characters long; at most ${limit} are allowed`;
  return { code: 'bad-text', message };
}

function emptyValue(place: string, what: string): Wording {
  const removable = !/(registry|image|until|key|operator|^exemptions\[\d+\]\.reason|^overrides\[\d+\]\.namespaces)$/.test(place);
  return { code: 'empty-value', message: `${place} is empty; write ${what}${removable ? ', or remove it' : ''}` };
}

function wrongType(message: string): Wording {
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

/** The field a value belongs to, and whether it is an entry of its list or mapping. Names of labels may look like indexes. */
function fieldAt(pointer: string): { readonly field: string | undefined; readonly isEntry: boolean } {
  const fields = fieldsOf(pointer);
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

function fieldsOf(pointer: string): readonly string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((field) => field.replaceAll('~1', '/').replaceAll('~0', '~'));
}
