/** Parses `expected.yaml` of a policy test and compares it with the results. */
import { listOf } from '../image/wording.ts';
import { isAbsent, isObject, type JsonObject, type Path, sameJson } from '../object/json.ts';
import { closestSpelling } from '../rules/closest-spelling.ts';
import { pointerTo } from '../yaml/json-pointer.ts';
import type { YamlDocument } from '../yaml/read-document.ts';
import { readYaml } from '../yaml/read-yaml.ts';
import { describeYamlError } from '../yaml/yaml-error.ts';
import { type ObjectResult, renderSubject } from './evaluate-object.ts';
import { parseDay } from './parse-day.ts';

export type Expectation = {
  /** Default namespace of the objects. */
  readonly namespace?: string;
  readonly user?: string;
  readonly assumeComplete?: boolean;
  /** The day for which exemptions are evaluated, in milliseconds since 1970. */
  readonly date?: number;
  readonly entries: readonly ExpectedEntry[];
};

export type ExpectedEntry = {
  /** Selects the object: every field must equal the object's. */
  readonly object: Readonly<Partial<Record<MatchedField, string>>>;
  /** The expected result. It may be only a part of the result. */
  readonly fields: JsonObject;
  /** 1-based line in expected.yaml. */
  readonly line: number;
};

/** Why a test fails. */
export type ExpectationFailure = {
  readonly message: string;
  /** 1-based line in expected.yaml. */
  readonly line?: number;
  /** Present if a value differs from the expected one. */
  readonly difference?: { readonly field: string; readonly expected: unknown; readonly actual: unknown };
};

export type ParsedExpectation =
  | { readonly ok: true; readonly expectation: Expectation }
  | { readonly ok: false; readonly failures: readonly ExpectationFailure[] };

const matchedFields = ['apiVersion', 'kind', 'namespace', 'name', 'generateName'] as const;
type MatchedField = (typeof matchedFields)[number];

const topFields = ['date', 'user', 'namespace', 'assumeComplete', 'results'];

export function parseExpectation(text: string): ParsedExpectation {
  const { documents, error } = readYaml(text, { documents: 'one' });
  const [document] = documents;
  const trouble = document?.errors[0] ?? error;
  if (trouble) return failure(`expected.yaml is not valid YAML: ${describeYamlError(trouble)}`, trouble.position.line);
  if (!document) return failure(notMapping, 1);
  const reader = new ExpectationReader(document);
  const expectation = reader.read();
  return reader.failures.length > 0 ? { ok: false, failures: reader.failures } : { ok: true, expectation };
}

const notMapping = 'expected.yaml must be a mapping with the field "results".';

class ExpectationReader {
  readonly failures: ExpectationFailure[] = [];
  private readonly document: YamlDocument;

  constructor(document: YamlDocument) {
    this.document = document;
  }

  read(): Expectation {
    const root = this.document.value;
    if (!isObject(root)) {
      this.fail([], notMapping);
      return { entries: [] };
    }
    this.failOnUnknownFields(root, topFields, []);
    const { results } = root;
    if (!Array.isArray(results)) this.fail([], '"results" must be a list with an entry for each evaluated object.');
    const date = this.text(root, 'date');
    return {
      ...this.settings(root),
      ...(date !== undefined && this.day(date)),
      entries: (Array.isArray(results) ? results : []).flatMap((entry: unknown, index) => this.entry(entry, index)),
    };
  }

  private settings(root: JsonObject): Pick<Expectation, 'namespace' | 'user' | 'assumeComplete'> {
    const namespace = this.text(root, 'namespace');
    const user = this.text(root, 'user');
    const { assumeComplete } = root;
    if (!isAbsent(assumeComplete) && typeof assumeComplete !== 'boolean')
      this.fail(['assumeComplete'], '"assumeComplete" must be true or false.');
    return {
      ...(namespace !== undefined && { namespace }),
      ...(user !== undefined && { user }),
      ...(typeof assumeComplete === 'boolean' && { assumeComplete }),
    };
  }

  private text(root: JsonObject, field: string): string | undefined {
    const value = root[field];
    if (isAbsent(value)) return undefined;
    if (typeof value === 'string' && value !== '') return value;
    this.fail([field], `"${field}" must be a string. Put the value in quotes.`);
    return undefined;
  }

  private day(text: string): { readonly date?: number } {
    const date = parseDay(text);
    if (date !== undefined) return { date };
    this.fail(['date'], `"date" must be a date such as 2027-03-31, but is "${text}".`);
    return {};
  }

  private entry(entry: unknown, index: number): readonly ExpectedEntry[] {
    const path = ['results', index];
    const { object, ...fields } = isObject(entry) ? entry : {};
    if (!isObject(object)) {
      this.fail(path, 'the entry has no "object". Add it, with the kind and the name of the object.');
      return [];
    }
    this.failOnUnknownFields(object, matchedFields, [...path, 'object']);
    const wrong = Object.entries(object).find(([, value]) => typeof value !== 'string');
    if (wrong) this.fail([...path, 'object', wrong[0]], `"${wrong[0]}" must be a string. Put the value in quotes.`);
    if (object.kind === undefined || (object.name === undefined && object.generateName === undefined)) {
      this.fail([...path, 'object'], '"object" must have a kind and a name, so that it identifies one object.');
    }
    if (Object.keys(fields).length === 0) this.fail(path, 'the entry contains no expectation. Add at least "outcome".');
    return [{ object: object as ExpectedEntry['object'], fields, line: this.lineOf(path) }];
  }

  private failOnUnknownFields(value: JsonObject, known: readonly string[], path: Path): void {
    for (const field of Object.keys(value)) {
      if (known.includes(field)) continue;
      const nearest = closestSpelling(field, known);
      const hint = nearest === undefined ? `Allowed fields are ${listOf(known, 'and')}.` : `Did you mean "${nearest}"?`;
      this.fail([...path, field], `unknown field "${field}". ${hint}`);
    }
  }

  private fail(path: Path, message: string): void {
    this.failures.push({ message, line: this.lineOf(path) });
  }

  private lineOf(path: Path): number {
    return this.document.locate(pointerTo(...path)).line;
  }
}

/** Every evaluated object needs one entry, every entry must match one object, and every field of an entry must equal the result's. */
export function compareResults(expectation: Expectation, results: readonly ObjectResult[]): readonly ExpectationFailure[] {
  const failures: ExpectationFailure[] = [];
  const unexpected = new Set(results);
  for (const entry of expectation.entries) {
    const description = renderEntry(entry);
    const matching = results.filter((result) => matchesObject(entry, result));
    const [result] = matching;
    if (result === undefined) {
      failures.push({ message: `no evaluated object matches ${description}.`, line: entry.line });
    } else if (matching.length > 1) {
      failures.push({ message: `${matching.length} objects match ${description}. Add the namespace or the apiVersion.`, line: entry.line });
      for (const each of matching) unexpected.delete(each);
    } else if (!unexpected.delete(result)) {
      failures.push({ message: `${renderSubject(result.object)} has a second entry. Remove one of the two.`, line: entry.line });
    } else {
      for (const difference of differences(entry.fields, result, '')) {
        failures.push({ message: `${renderSubject(result.object)}: ${difference.field}`, line: entry.line, difference });
      }
    }
  }
  for (const result of unexpected) {
    const { object, outcome } = result;
    failures.push({ message: `${renderSubject(object)} (${object.file}:${object.line}) has no entry. Its outcome is ${outcome}.` });
  }
  for (const { object, uncertain = [] } of results) {
    for (const reason of uncertain) failures.push({ message: `${renderSubject(object)} has an uncertain result: ${reason}` });
  }
  return failures;
}

function matchesObject({ object }: ExpectedEntry, result: ObjectResult): boolean {
  return matchedFields.every((field) => object[field] === undefined || object[field] === (result.object[field] ?? ''));
}

function renderEntry({ object }: ExpectedEntry): string {
  const { kind = '', namespace, name, generateName, apiVersion } = object;
  const where = namespace === undefined ? '' : `${namespace}/`;
  return `${kind}${apiVersion === undefined ? '' : ` (${apiVersion})`} ${where}${name ?? `${generateName}…`}`;
}

/** Of mappings only the expected fields are compared, of lists all entries. */
function differences(expected: unknown, actual: unknown, field: string): NonNullable<ExpectationFailure['difference']>[] {
  if (Array.isArray(expected) && Array.isArray(actual) && expected.length === actual.length) {
    return expected.flatMap((each, index) => differences(each, actual[index], `${field}[${index}]`));
  }
  if (isObject(expected) && isObject(actual)) {
    return Object.entries(expected).flatMap(([key, each]) =>
      differences(each, Object.hasOwn(actual, key) ? actual[key] : undefined, field === '' ? key : `${field}.${key}`),
    );
  }
  return sameJson(expected, actual) ? [] : [{ field, expected, actual }];
}

function failure(message: string, line: number): ParsedExpectation {
  return { ok: false, failures: [{ message, line }] };
}
