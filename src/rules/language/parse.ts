/** Parses one rules document into rules, exemptions, overrides, secrets and settings, and reports all its problems. */
import { quote } from '../../image/problem.ts';
import type { TextStart } from '../../yaml/lines.ts';
import type { YamlDocument } from '../../yaml/read-document.ts';
import type {
  Delegation,
  DeliveredSecret,
  Exemption,
  Inject,
  Mode,
  NamespaceSelector,
  Override,
  Rule,
  ShortNames,
  Unconfigured,
} from '../rule-set.ts';
import { usualWarnFrom } from '../trust-end.ts';
import { type DocumentProblem, type ReadResult, readDocument, readOrdinaryDocument } from './document.ts';
import { maxDuration, parseDuration, renderDuration } from './duration.ts';
import { readNamespaces } from './namespace-selector.ts';
import { parsePattern, type RegistryPattern, resolvePattern, type WrittenPattern } from './pattern.ts';
import { firstProblems, levelOf, type Origin, type Problem, type ProblemCode, type RuleSource } from './problem.ts';
import {
  fieldsOfLevel,
  fieldsOfNamespaceRules,
  type RulesDocument,
  type WrittenDeliveredSecret,
  type WrittenExemption,
  type WrittenNamespaces,
  type WrittenOverride,
  type WrittenRule,
} from './schema.ts';
import { schemaErrors } from './schema-errors.ts';
import { checkSchema, meantTrust, renderPointer } from './schema-problems.ts';

/** A setting in a document, and its position. */
export type WrittenSetting<Value> = { readonly value: Value; readonly origin: Origin };

/** One document without problems. The compiler checks whether it contradicts other documents. */
export type ParsedDocument = {
  readonly source: RuleSource;
  readonly scope: RuleScope;
  /** The text contains only comments. Like `{}` or `rules: []` it has no rules, but perhaps by accident. */
  readonly blank: boolean;
  /** Only settings that are written, so that documents without a setting do not conflict with those that have it. */
  readonly settings: {
    readonly unconfigured?: WrittenSetting<Unconfigured>;
    readonly mode?: WrittenSetting<Mode>;
    readonly contact?: WrittenSetting<string>;
    readonly helpUrl?: WrittenSetting<string>;
    readonly inject?: WrittenSetting<Inject>;
    readonly shortNames?: WrittenSetting<ShortNames>;
  };
  /** One for each registry of each rule, and one for each internal registry. */
  readonly rules: readonly Rule[];
  /** One for each image of each exemption. */
  readonly exemptions: readonly Exemption[];
  readonly overrides: readonly Override[];
  readonly delegate: readonly Delegation[];
  readonly deliveredSecrets: readonly DeliveredSecret[];
};

/** Whose rules a document contains: the cluster's, or those of one namespace. */
export type RuleScope = { readonly kind: 'cluster' } | { readonly kind: 'namespace'; readonly namespace: string };

export type ParseResult =
  | { readonly ok: true; readonly document: ParsedDocument; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** How many problems are listed. Further ones are only counted, so that a document full of mistakes does not fill the memory. */
export const maxProblems = { cluster: 100, namespace: 20 } as const;

/**
 * Limits for a document. Those of the cluster follow from the largest ConfigMap; those of a namespace are smaller, since every tenant may
 * write one. `maxLexemes` counts the tokens of YAML's lexer, about 25 for a rule: 12,000 rules of the cluster. The 200 rules of a
 * namespace, each with every field and a comment, need 10,000.
 */
const documentLimits = {
  cluster: { maxLength: 1_048_576, maxLexemes: 300_000 },
  namespace: { maxLength: 65_536, maxLexemes: 16_000 },
} as const;

/**
 * Parses one rules document, YAML 1.2 or JSON. Finds all problems at once, unless one hides another, sorted by position. `start` is where
 * the text begins in its file, if it is a block scalar of a manifest, whose lines all have the same indent. Positions are then those in the
 * file. Never throws, whatever the text.
 */
export function parseRulesDocument(
  text: string,
  source: RuleSource,
  scope: RuleScope = { kind: 'cluster' },
  start: TextStart = { line: 1, column: 1 },
): ParseResult {
  return parseRead(readDocument(text, { ...documentLimits[scope.kind], start }), source, scope, start);
}

/**
 * The same, but undefined for a text that may need much time or memory: one that is not ordinary YAML, or differs from the schema. Describing
 * the differences may take several times as long as parsing. A usual text of a million characters needs half a second.
 */
export function parseOrdinaryRulesDocument(
  text: string,
  source: RuleSource,
  scope: RuleScope = { kind: 'cluster' },
  start: TextStart = { line: 1, column: 1 },
): ParseResult | undefined {
  const read = readOrdinaryDocument(text, { ...documentLimits[scope.kind], start });
  if (!read?.ok) return undefined;
  const errors = read.data && schemaErrors(read.data.value);
  return errors && errors.length > 0 ? undefined : parseRead(read, source, scope, start, errors);
}

function parseRead(
  read: ReadResult,
  source: RuleSource,
  scope: RuleScope,
  start: TextStart,
  errors?: ReturnType<typeof schemaErrors>,
): ParseResult {
  const problemsOf = (problems: readonly DocumentProblem[]) => problemsIn(problems, source, maxProblems[scope.kind]);
  if (!read.ok && !read.partial) return { ok: false, problems: problemsOf(read.problems) };
  const data = read.ok ? read.data : read.partial?.data;
  if (!data) return blankDocument(source, scope, start);

  // A wildcard without quotes must not hide the other problems.
  const [rejected, rejectedPointers] = read.ok ? [[], undefined] : [read.problems, read.partial?.rejected];
  const { problems: schemaProblems, invalid } = checkSchema(
    data,
    scope.kind === 'cluster' ? fieldsOfLevel : fieldsOfNamespaceRules,
    rejectedPointers,
    errors,
  );
  const reader = new DocumentReader(data, source, scope, invalid);
  const document = reader.readDocument();
  const problems = [...rejected, ...schemaProblems, ...reader.problems];
  if (problems.length > 0) return { ok: false, problems: problemsOf(problems) };
  return { ok: true, document, warnings: problemsOf(reader.warnings) };
}

function blankDocument(source: RuleSource, scope: RuleScope, { line, column }: TextStart): ParseResult {
  const message = 'the document is empty, so it contains no rules. If this is intentional, use "rules: []".';
  const warning: Problem = { code: 'blank-document', message, origin: { source, line, column } };
  const document = {
    source,
    scope,
    blank: true,
    settings: {},
    rules: [],
    exemptions: [],
    overrides: [],
    delegate: [],
    deliveredSecrets: [],
  };
  return { ok: true, document, warnings: [warning] };
}

/** Long enough for a Deployment that is deleted and created again, and for a Job that runs every night. */
const usualRetention = '24h';

type WrittenTexts = string | readonly string[];

/** Turns the values that match the schema into rules and settings. Leaves out the others, whose problems are already known. */
class DocumentReader {
  readonly problems: DocumentProblem[] = [];
  readonly warnings: DocumentProblem[] = [];
  private readonly data: YamlDocument;
  private readonly source: RuleSource;
  private readonly scope: RuleScope;
  private readonly invalid: ReadonlySet<string>;

  constructor(data: YamlDocument, source: RuleSource, scope: RuleScope, invalid: ReadonlySet<string>) {
    this.data = data;
    this.source = source;
    this.scope = scope;
    this.invalid = invalid;
  }

  readDocument(): ParsedDocument {
    // Values that do not match the schema are left out one by one, so the type is correct for all values that are used.
    const written = (this.fits('') ? this.data.value : {}) as RulesDocument;
    return {
      source: this.source,
      scope: this.scope,
      blank: false,
      settings: {
        ...this.setting('unconfigured', written.unconfigured),
        ...this.setting('mode', written.mode),
        ...this.setting('contact', written.contact),
        ...this.setting('helpUrl', written.helpUrl),
        ...this.setting('inject', written.inject),
        ...this.readShortNames(written.shortNames, '/shortNames'),
      },
      rules: [
        ...this.entries(written.internalRegistries, '/internalRegistries').flatMap(([text, pointer]) => this.readInternal(text, pointer)),
        ...this.entries(written.rules, '/rules').flatMap(([rule, pointer]) => this.readRule(rule, pointer)),
      ],
      exemptions: this.entries(written.exemptions, '/exemptions').flatMap(([entry, pointer]) => this.readExemption(entry, pointer)),
      overrides: this.entries(written.overrides, '/overrides').flatMap(([override, pointer]) => this.readOverride(override, pointer)),
      delegate: this.readPatterns(written.delegate, '/delegate', true).map(({ pattern, origin }) => ({ pattern, origin })),
      deliveredSecrets: this.entries(written.secrets, '/secrets').flatMap(([secret, pointer]) => this.readDeliveredSecret(secret, pointer)),
    };
  }

  private fits(pointer: string): boolean {
    return !this.invalid.has(pointer);
  }

  private setting<Name extends string, Value extends string>(
    name: Name,
    value: Value | undefined,
  ): { readonly [Key in Name]?: WrittenSetting<Value> } {
    const pointer = `/${name}`;
    if (value === undefined || !this.fits(pointer)) return {};
    const setting: WrittenSetting<Value> = { value: value.trim() as Value, origin: this.originOf(pointer) };
    return { [name]: setting } as { [Key in Name]: WrittenSetting<Value> };
  }

  private entries<Entry>(list: readonly Entry[] | undefined, pointer: string): [Entry, string][] {
    if (list === undefined || !this.fits(pointer)) return [];
    return list.map((entry, index): [Entry, string] => [entry, `${pointer}/${index}`]).filter(([, at]) => this.fits(at));
  }

  private readShortNames(written: RulesDocument['shortNames'], pointer: string): { readonly shortNames?: WrittenSetting<ShortNames> } {
    if (written === undefined || !this.fits(pointer)) return {};
    const origin = this.originOf(pointer);
    if (typeof written === 'string') return { shortNames: { value: written, origin } };
    const hosts = new Set<string>();
    for (const [text, at] of this.entries<string>(written, pointer)) {
      const pattern = this.readHost(text, at, 'bad-short-names', 'a search registry for short names');
      if (pattern === undefined) continue;
      if (pattern.host.kind !== 'exact' || pattern.port === 'any') {
        this.addProblem(
          'bad-short-names',
          at,
          `${quote(text)} matches several hosts, but registries are searched in list order. List each host separately.`,
        );
      } else if (hosts.has(pattern.text)) {
        this.addProblem('bad-short-names', at, `${pattern.text} is already in the list. Remove the duplicate.`);
      } else hosts.add(pattern.text);
    }
    return { shortNames: { value: [...hosts], origin } };
  }

  private readInternal(text: string, pointer: string): Rule[] {
    const pattern = this.readHost(text, pointer, 'internal-pattern', 'an internal registry');
    if (pattern === undefined) return [];
    if (pattern.host.kind === 'any') {
      const message = 'every host would be an internal registry, so no image would be checked. List the hosts.';
      return this.addProblem('internal-pattern', pointer, message);
    }
    const origin = this.originOf(pointer);
    return [{ name: pattern.text, pattern, trust: true, pullSecrets: [], onMissingSecret: 'warn', internal: true, origin }];
  }

  /** A pattern that must not have a path. */
  private readHost(text: string, pointer: string, code: ProblemCode, what: string): RegistryPattern | undefined {
    const parsed = parsePattern(text);
    if (!parsed.ok) {
      const message =
        parsed.code === 'pattern-unqualified' && !text.includes('/')
          ? `${quote(text)} would be parsed as a Docker Hub name. Add the port: ${quote(`${text}:443`)}.`
          : parsed.message;
      this.addProblem(parsed.code, pointer, message);
      return undefined;
    }
    if (parsed.pattern.path.length > 0) {
      this.addProblem(
        code,
        pointer,
        `${what} must be a host with an optional port, and no path. Use ${quote(text.slice(0, text.indexOf('/')))}.`,
      );
      return undefined;
    }
    return resolvePattern(parsed.pattern, true);
  }

  private readRule(rule: WrittenRule, pointer: string): Rule[] {
    const trust = rule.trust ?? true;
    if (this.fits(`${pointer}/trust`)) this.checkTrustFields(rule, trust, pointer);
    const name = this.text(rule.name, `${pointer}/name`);
    const reason = this.text(rule.reason, `${pointer}/reason`);
    const until = this.text(rule.until, `${pointer}/until`);
    const warnFrom = this.text(rule.warnFrom, `${pointer}/warnFrom`);
    if (until !== undefined && warnFrom !== undefined && warnFrom > until) {
      const message = `${renderPointer(pointer)} would start warning on ${warnFrom}, but its trust ends on ${until}. Set an earlier date, or remove warnFrom.`;
      this.addFieldProblem('warn-from-after-until', `${pointer}/warnFrom`, message);
    }
    const pushSecret = this.text(rule.pushSecret, `${pointer}/pushSecret`);
    const shared = {
      trust,
      ...(reason !== undefined && { reason }),
      ...(until !== undefined && { until, warnFrom: warnFrom ?? usualWarnFrom(until) }),
      pullSecrets: this.readSecrets(rule.pullSecret, `${pointer}/pullSecret`),
      ...(pushSecret !== undefined && { pushSecret }),
      onMissingSecret: rule.onMissingSecret ?? 'warn',
      ...this.readNamespaces(rule.namespaces, `${pointer}/namespaces`),
      internal: false,
      ...(this.scope.kind === 'namespace' && { ownerNamespace: this.scope.namespace }),
    };
    const patterns = this.readPatterns(rule.registry, `${pointer}/registry`, trust);
    return patterns.map(({ origin, ...pattern }) => ({ name: name ?? pattern.pattern.text, ...pattern, ...shared, origin }));
  }

  private checkTrustFields(rule: WrittenRule, trust: boolean, pointer: string): void {
    const location = () => renderPointer(pointer);
    // A rule with `action: deny` may have a reason. The unknown field is reported already.
    const meansDenial = () => Object.entries(rule).some(([field, value]) => meantTrust(field, value) === false);
    if (trust && rule.reason !== undefined && rule.until === undefined && !meansDenial()) {
      const message = `${location()} trusts its registry indefinitely, so its reason would never be shown. Add "trust: false" or "until", or make the reason a comment.`;
      this.addFieldProblem('reason-on-trusted', `${pointer}/reason`, message);
    }
    for (const field of ['until', 'warnFrom'] as const) {
      if (trust || rule[field] === undefined) continue;
      const message = `${location()} denies its registry ("trust: false"), so ${field} has no effect. Remove ${field} or "trust: false".`;
      this.addFieldProblem('until-on-untrusted', `${pointer}/${field}`, message);
    }
    if (trust && rule.warnFrom !== undefined && rule.until === undefined) {
      const message = `${location()} has warnFrom but no until date. Add until, or remove warnFrom.`;
      this.addFieldProblem('warn-from-without-until', `${pointer}/warnFrom`, message);
    }
    for (const field of ['pullSecret', 'pushSecret'] as const) {
      if (trust || rule[field] === undefined) continue;
      const message = `${location()} denies its registry ("trust: false"), so it needs no ${field}. Remove one of the two.`;
      this.addFieldProblem('secret-on-untrusted', `${pointer}/${field}`, message);
    }
    if (rule.onMissingSecret !== undefined && (!trust || (rule.pullSecret === undefined && rule.pushSecret === undefined))) {
      const why = trust
        ? 'has onMissingSecret but no secret. Add pullSecret or pushSecret, or remove the field.'
        : 'has onMissingSecret but denies its registry ("trust: false"), so it needs no secret. Remove the field.';
      this.addFieldProblem('on-missing-without-secret', `${pointer}/onMissingSecret`, `${location()} ${why}`);
    }
  }

  private readSecrets(written: WrittenRule['pullSecret'], pointer: string): readonly string[] {
    const names = new Set<string>();
    for (const [name, at] of this.oneOrMany(written, pointer)) {
      if (names.has(name)) this.warn('duplicate-secret', at, `repeats ${name}. Remove the duplicate.`);
      names.add(name);
    }
    return [...names];
  }

  private readExemption(exemption: WrittenExemption, pointer: string): Exemption[] {
    const reason = this.text(exemption.reason, `${pointer}/reason`) ?? '';
    const namespaces = this.readNamespaces(exemption.namespaces, `${pointer}/namespaces`);
    const patterns = this.readPatterns(exemption.image, `${pointer}/image`, true);
    return patterns.map(({ pattern, origin }) => ({ pattern, ...namespaces, until: exemption.until, reason, origin }));
  }

  private readOverride(override: WrittenOverride, pointer: string): Override[] {
    const { mode, unconfigured, inject } = override;
    if (mode === undefined && unconfigured === undefined && inject === undefined) {
      const message = `${renderPointer(pointer)} sets nothing. Add mode, unconfigured or inject, or remove the entry.`;
      this.problems.push({ code: 'override-without-setting', message, position: this.data.locate(pointer) });
    }
    const { namespaces } = this.readNamespaces(override.namespaces, `${pointer}/namespaces`);
    if (namespaces === undefined) return [];
    return [
      {
        namespaces,
        ...(mode !== undefined && { mode }),
        ...(unconfigured !== undefined && { unconfigured }),
        ...(inject !== undefined && { inject }),
        origin: this.originOf(pointer),
      },
    ];
  }

  private readDeliveredSecret(secret: WrittenDeliveredSecret, pointer: string): DeliveredSecret[] {
    const deliver = (this.fits(`${pointer}/deliver`) ? secret.deliver : undefined) ?? 'onDemand';
    const retain = this.text(secret.retain, `${pointer}/retain`);
    if (retain !== undefined && parseDuration(retain) > maxDuration) {
      const message = `${renderPointer(pointer)}.retain is ${retain}. The maximum is ${renderDuration(maxDuration)}.`;
      this.problems.push({ code: 'bad-duration', message, position: this.data.locate(`${pointer}/retain`) });
    }
    if (secret.retain !== undefined && deliver === 'always') {
      const message = `${renderPointer(pointer)} has "deliver: always", so its copies are kept even if no object needs them, and retain has no effect. Remove one of the two.`;
      this.addFieldProblem('retain-on-always', `${pointer}/retain`, message);
    }
    const { namespaces } = this.readNamespaces(secret.namespaces, `${pointer}/namespaces`);
    const name = this.text(secret.name, `${pointer}/name`);
    const source = this.text(secret.source, `${pointer}/source`);
    if (namespaces === undefined || name === undefined || source === undefined) return [];
    const retainSeconds = parseDuration(retain ?? usualRetention);
    return [{ name, source, namespaces, deliver, retainSeconds, origin: this.originOf(pointer) }];
  }

  private readNamespaces(written: WrittenNamespaces | undefined, pointer: string): { readonly namespaces?: NamespaceSelector } {
    if (written === undefined || !this.fits(pointer)) return {};
    const { selector, problems: slips } = readNamespaces(written, (below) => this.fits(pointer + below));
    for (const { code, pointer: below, message } of slips) {
      if (levelOf(code) === 'warning') this.warn(code, pointer + below, message);
      else {
        const text = `${renderPointer(pointer + below)} ${message}`;
        this.problems.push({ code, message: text, position: this.data.locate(pointer + below) });
      }
    }
    return selector === undefined ? {} : { namespaces: selector };
  }

  /** One for each pattern in the list, with its position. Duplicates count once. */
  private readPatterns(written: WrittenTexts | undefined, pointer: string, trust: boolean): readonly LocatedPattern[] {
    const patterns = new Map<string, LocatedPattern>();
    for (const [text, at] of this.oneOrMany(written, pointer)) {
      const parsed = parsePattern(text);
      if (!parsed.ok) {
        this.addProblem(parsed.code, at, parsed.message);
        continue;
      }
      const pattern = resolvePattern(parsed.pattern, trust);
      const written = text === pattern.text ? {} : { written: text };
      if (patterns.has(pattern.text)) {
        const what = written.written === undefined ? `repeats ${text}` : `is ${text}, which means the same as ${pattern.text}`;
        this.warn('duplicate-registry', at, `${what}. Remove the duplicate.`);
      } else patterns.set(pattern.text, { pattern, ...portWritten(parsed.pattern, trust), ...written, origin: this.originOf(at) });
    }
    return [...patterns.values()];
  }

  /** YAML's folded blocks leave a line break after the text. */
  private text(written: string | undefined, pointer: string): string | undefined {
    return this.fits(pointer) ? written?.trim() : undefined;
  }

  private oneOrMany(written: WrittenTexts | undefined, pointer: string): [string, string][] {
    if (written === undefined || !this.fits(pointer)) return [];
    return typeof written === 'string' ? [[written, pointer]] : this.entries(written, pointer);
  }

  private addProblem(code: ProblemCode, pointer: string, sentence: string): never[] {
    this.problems.push({ code, message: `${renderPointer(pointer)}: ${sentence}`, position: this.data.locate(pointer) });
    return [];
  }

  private addFieldProblem(code: ProblemCode, pointer: string, message: string): void {
    this.problems.push({ code, message, position: this.data.locateField(pointer) });
  }

  /** The sentence continues after the name of the field. */
  private warn(code: ProblemCode, pointer: string, sentence: string): void {
    this.warnings.push({ code, message: `${renderPointer(pointer)} ${sentence}`, position: this.data.locate(pointer) });
  }

  private originOf(pointer: string): Origin {
    return { source: this.source, ...this.data.locate(pointer) };
  }
}

type LocatedPattern = Pick<Rule, 'pattern' | 'portWritten' | 'written' | 'origin'>;

/** Whether the written port means the same as no port. */
export function portWritten({ port }: WrittenPattern, trust: boolean): { readonly portWritten?: true } {
  return port === (trust ? 'default' : 'any') ? { portWritten: true } : {};
}

function problemsIn(problems: readonly DocumentProblem[], source: RuleSource, most: number): readonly Problem[] {
  const inOrder = problems.toSorted((one, other) => one.position.line - other.position.line || one.position.column - other.position.column);
  return firstProblems(
    inOrder.map(({ code, message, position }): Problem => ({ code, message, origin: { source, ...position } })),
    most,
  );
}
