import type { ErrorObject } from 'ajv/dist/2020.js';
import { quote } from '../image/problem.ts';
import { escapePointer, type Finding, type LocatedData } from './document.ts';
import { documentFields, ruleFields, schemaErrors } from './schema.ts';
import { nearestSpelling } from './spelling.ts';

/** Where a document differs from the schema, and the same in sentences. */
export type ShapeFindings = {
  readonly findings: readonly Finding[];
  /** JSON pointers of the values that are not what the schema says; values beside and around them can be used, without these. */
  readonly unfit: ReadonlySet<string>;
};

/** Compares the data with the schema, and words each difference once, where its author wrote it. */
export function checkShape(data: LocatedData): ShapeFindings {
  const errors = schemaErrors(data.value);
  const findings: Finding[] = [];
  const unfit = new Set<string>();
  for (const [pointer, group] of groupByPointer(errors)) {
    if (group.some(({ keyword }) => keyword !== 'additionalProperties')) unfit.add(pointer);
    findings.push(...wordGroup(pointer, group, data));
  }
  return { findings, unfit };
}

/** `/rules/2/pullSecret` as people write it: `rules[2].pullSecret`. */
export function renderPointer(pointer: string): string {
  const path = fieldsOf(pointer).reduce((text, field) => (/^[0-9]+$/.test(field) ? `${text}[${field}]` : `${text}.${field}`), '');
  return path.replace(/^\./, '');
}

/** Errors by place. "A text or a list of texts" gives errors for the whole list beside the one for its bad entry: only the entry's are kept. */
function groupByPointer(errors: readonly ErrorObject[]): ReadonlyMap<string, readonly ErrorObject[]> {
  const groups = new Map<string, ErrorObject[]>();
  const haveBadEntry = new Set<string>();
  for (const error of errors) {
    const group = groups.get(error.instancePath);
    if (group) group.push(error);
    else groups.set(error.instancePath, [error]);
    haveBadEntry.add(parentOf(error.instancePath));
  }
  for (const [pointer, group] of groups) {
    if (haveBadEntry.has(pointer) && group.some(({ keyword }) => keyword === 'anyOf')) groups.delete(pointer);
  }
  return groups;
}

function wordGroup(pointer: string, errors: readonly ErrorObject[], data: LocatedData): Finding[] {
  const unknown = errors.filter(({ keyword }) => keyword === 'additionalProperties').map(({ params }): string => params.additionalProperty);
  const missing = errors.filter(({ keyword }) => keyword === 'required').map(({ params }): string => params.missingProperty);
  const others = errors.filter(({ keyword }) => keyword !== 'additionalProperties' && keyword !== 'required');
  const findings = unknown.map((field) => unknownField(pointer, field, data));
  // A misspelt field is one mistake, not also a missing one.
  const isMisspelt = (field: string) => unknown.some((name) => nearestSpelling(name, ruleFields) === field);
  findings.push(...missing.filter((field) => !isMisspelt(field)).map((field) => missingField(pointer, field, data)));
  const [first] = others;
  if (first) findings.push({ ...wordValue(pointer, first.data, others, data), position: data.locate(pointer) });
  return findings;
}

function unknownField(pointer: string, field: string, data: LocatedData): Finding {
  const inRule = pointer !== '';
  const [known, elsewhere] = inRule ? [ruleFields, documentFields] : [documentFields, ruleFields];
  const where = inRule ? `in ${renderPointer(pointer)}` : 'at the top level';
  const near = nearestSpelling(field, known);
  const misplaced = elsewhere.includes(field);
  let message = `unknown field ${quote(field)} ${where}`;
  if (misplaced) message += inRule ? '; it belongs at the top level' : '; it belongs into an entry of rules';
  else if (near) message += `; did you mean ${quote(near)}?`;
  else message += `: it is not known to this version; known here are ${known.join(', ')}`;
  return { code: 'unknown-field', message, position: data.locateField(`${pointer}/${escapePointer(field)}`) };
}

function missingField(pointer: string, field: string, data: LocatedData): Finding {
  const message = `${renderPointer(pointer)} has no ${field}; say which registry the rule is about`;
  return { code: 'missing-field', message, position: data.locate(pointer) };
}

type Wording = Pick<Finding, 'code' | 'message'>;

function wordValue(pointer: string, value: unknown, errors: readonly ErrorObject[], data: LocatedData): Wording {
  const place = renderPointer(pointer);
  const field = fieldsOf(pointer).findLast((name) => !/^[0-9]+$/.test(name));
  const isEntry = /\/[0-9]+$/.test(pointer);
  switch (field) {
    case undefined:
      return wordDocument(value);
    case 'rules':
      return isEntry ? wordRule(place, value) : wordList(place, value, '"- registry: ..." entries');
    case 'internalRegistries':
      if (!isEntry) return wordList(place, value, '"- host:port" entries');
      return wordText(pointer, value, errors, data);
    case 'trust':
      return wordTrust(place, value);
    case 'mode':
    case 'unconfigured':
      return wordChoice(place, value, errors);
    default:
      return wordText(pointer, value, errors, data);
  }
}

function wordDocument(value: unknown): Wording {
  if (Array.isArray(value)) return wrongType('the document is a list; if these are the rules, put them under "rules:"');
  return wrongType(`the document is ${kindOf(value)}, not a mapping with fields such as "rules:"`);
}

function wordRule(place: string, value: unknown): Wording {
  if (typeof value === 'string') return wrongType(`${place} is text; write "registry: ${shorten(value)}" behind the dash`);
  if (value === null) return { code: 'empty-value', message: `${place} is empty; write a rule behind the dash, or remove the dash` };
  return wrongType(`${place} is ${kindOf(value)}, not a rule; write "registry: ..." behind the dash`);
}

function wordList(place: string, value: unknown, entries: string): Wording {
  if (value === null)
    return { code: 'empty-value', message: `${place} is empty; write ${entries} below it, or [] for none, or remove the field` };
  return wrongType(`${place} is ${kindOf(value)}, not a list; write ${entries} below it`);
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
  const allowed: readonly string[] = errors.find(({ keyword }) => keyword === 'enum')?.params.allowedValues ?? [];
  if (value === null) return emptyValue(place, oneOf(allowed));
  if (typeof value !== 'string') return wrongType(`${place} is ${kindOf(value)}; write ${oneOf(allowed)}`);
  const near = nearestSpelling(value, allowed);
  const fix = near ? `did you mean ${quote(near)}?` : `write ${oneOf(allowed)}`;
  return { code: 'unknown-value', message: `${place} is ${quote(value)}; ${fix}` };
}

const takesList: ReadonlySet<string> = new Set(['registry', 'pullSecret']);

function wordText(pointer: string, value: unknown, errors: readonly ErrorObject[], data: LocatedData): Wording {
  const place = renderPointer(pointer);
  const field = fieldsOf(pointer).findLast((name) => !/^[0-9]+$/.test(name)) ?? '';
  const isSecret = field === 'pullSecret' || field === 'pushSecret';
  const what = isSecret ? 'the name of a secret' : field === 'registry' || field === 'internalRegistries' ? 'a registry' : 'a text';
  if (value === null || value === '') return emptyValue(place, what);
  if (typeof value === 'number' || typeof value === 'boolean') {
    return wrongType(
      `${place} is ${kindOf(value)} to YAML, not a text; if it is meant, put it in quotes: ${quote(data.spelling(pointer))}`,
    );
  }
  if (Array.isArray(value) && value.length === 0 && takesList.has(field)) {
    return {
      code: 'empty-value',
      message: `${place} is an empty list; write ${what}${field === 'registry' ? '' : ', or remove the field'}`,
    };
  }
  if (typeof value !== 'string')
    return wrongType(`${place} is ${kindOf(value)}; write ${what}${takesList.has(field) ? ' or a list of them' : ''}`);
  return isSecret ? badSecretName(place, value) : badText(place, value, errors);
}

function badSecretName(place: string, value: string): Wording {
  const fix = value.includes('/')
    ? 'write the name alone, since a pod can only use secrets of its own namespace'
    : 'a name has lower-case letters, digits, - and ., begins and ends with a letter or digit, and is at most 253 characters long';
  return { code: 'bad-secret-name', message: `${place} is ${quote(value)}, which is not a secret's name; ${fix}` };
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
  const removable = !/registry$/.test(place);
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

function oneOf(words: readonly string[]): string {
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

function shorten(text: string): string {
  return quote(text).slice(1, -1);
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
