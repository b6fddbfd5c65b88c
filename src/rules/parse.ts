import { type Finding, type LocatedData, readDocument } from './document.ts';
import { parsePattern, resolvePattern } from './pattern.ts';
import type { Origin, Problem, RuleSource } from './problem.ts';
import type { Delegation, Exemption, Inject, Mode, Override, Rule, ShortNames, Unconfigured } from './ruleset.ts';
import type { RulesDocument, WrittenRule } from './schema.ts';
import { checkShape, renderPointer } from './shape.ts';

/** A setting somebody wrote, and where. */
export type WrittenSetting<Value> = { readonly value: Value; readonly origin: Origin };

/** One document without problems of its own. Whether it agrees with the other documents is the compiler's question. */
export type ParsedDocument = {
  readonly source: RuleSource;
  readonly scope: RuleScope;
  /** The text held nothing but comments: no rules, as `{}` or `rules: []` say explicitly, but perhaps by accident. */
  readonly blank: boolean;
  /** Only settings that are written, so that documents which do not mention one do not compete. */
  readonly settings: {
    readonly unconfigured?: WrittenSetting<Unconfigured>;
    readonly mode?: WrittenSetting<Mode>;
    readonly contact?: WrittenSetting<string>;
    readonly inject?: WrittenSetting<Inject>;
    readonly shortNames?: WrittenSetting<ShortNames>;
  };
  /** One for each registry of each rule, and one for each internal registry. */
  readonly rules: readonly Rule[];
  /** One for each image of each exemption. */
  readonly exemptions: readonly Exemption[];
  readonly overrides: readonly Override[];
  readonly delegate: readonly Delegation[];
};

/** Whose rules a document holds: the cluster's, or those a namespace has of its own. */
export type RuleScope = { readonly kind: 'cluster' } | { readonly kind: 'namespace'; readonly namespace: string };

export type ParseResult =
  | { readonly ok: true; readonly document: ParsedDocument; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Further problems are only counted: nobody reads more, and a document made of nothing else must not fill the memory. */
const mostProblems = 100;

/**
 * Reads one rules document, YAML 1.2 or JSON. All problems are found in one go, as far as they do not hide each other, and come
 * in the order of their places. Never throws, whatever the text.
 */
export function parseRulesDocument(text: string, source: RuleSource, scope: RuleScope = { kind: 'cluster' }): ParseResult {
  const read = readDocument(text);
  if (!read.ok) return { ok: false, problems: problemsOf(read.findings, source) };
  if (!read.data) return blankDocument(source, scope);

  const { findings: misshapen, unfit } = checkShape(read.data);
  const reader = new DocumentReader(read.data, source, scope, unfit);
  const document = reader.readDocument();
  const findings = [...misshapen, ...reader.findings];
  if (findings.length > 0) return { ok: false, problems: problemsOf(findings, source) };
  return { ok: true, document, warnings: problemsOf(reader.warnings, source) };
}

function blankDocument(source: RuleSource, scope: RuleScope): ParseResult {
  const message = 'the document holds nothing, so it contributes no rules; if that is meant, write "rules: []"';
  const warning: Problem = { code: 'blank-document', message, origin: { source, line: 1, column: 1 } };
  const document = { source, scope, blank: true, settings: {}, rules: [], exemptions: [], overrides: [], delegate: [] };
  return { ok: true, document, warnings: [warning] };
}

/** Turns what fits the schema into rules and settings, and leaves out what does not: its problem is known already. */
class DocumentReader {
  readonly findings: Finding[] = [];
  readonly warnings: Finding[] = [];
  private readonly data: LocatedData;
  private readonly source: RuleSource;
  private readonly scope: RuleScope;
  private readonly unfit: ReadonlySet<string>;

  constructor(data: LocatedData, source: RuleSource, scope: RuleScope, unfit: ReadonlySet<string>) {
    this.data = data;
    this.source = source;
    this.scope = scope;
    this.unfit = unfit;
  }

  readDocument(): ParsedDocument {
    // Parts the schema refused are left out one by one, so the type holds for all that is used.
    const written = (this.fits('') ? this.data.value : {}) as RulesDocument;
    const rules = [
      ...this.entries(written.internalRegistries, '/internalRegistries').flatMap(([text, pointer]) => this.readInternal(text, pointer)),
      ...this.entries(written.rules, '/rules').flatMap(([rule, pointer]) => this.readRule(rule, pointer)),
    ];
    const settings = {
      ...this.setting('unconfigured', written.unconfigured),
      ...this.setting('mode', written.mode),
      ...this.setting('contact', written.contact),
    };
    return { source: this.source, scope: this.scope, blank: false, settings, rules, exemptions: [], overrides: [], delegate: [] };
  }

  private fits(pointer: string): boolean {
    return !this.unfit.has(pointer);
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

  private readInternal(text: string, pointer: string): Rule[] {
    const parsed = parsePattern(text);
    if (!parsed.ok) return this.refuse(parsed.code, pointer, parsed.message);
    const { host, path } = parsed.pattern;
    if (path.length > 0) {
      return this.refuse(
        'internal-pattern',
        pointer,
        `an internal registry is a host with its port, without path; write "${text.slice(0, text.indexOf('/'))}"`,
      );
    }
    if (host.kind === 'any') {
      return this.refuse(
        'internal-pattern',
        pointer,
        'every host would be an internal registry, and nothing would be checked; name the hosts',
      );
    }
    const pattern = resolvePattern(parsed.pattern, true);
    const origin = this.originOf(pointer);
    return [{ name: pattern.text, pattern, trust: true, pullSecrets: [], onMissingSecret: 'warn', internal: true, origin }];
  }

  private readRule(rule: WrittenRule, pointer: string): Rule[] {
    const trust = rule.trust ?? true;
    if (this.fits(`${pointer}/trust`)) this.checkTrustFields(rule, trust, pointer);
    const name = this.text(rule.name, `${pointer}/name`);
    const reason = this.text(rule.reason, `${pointer}/reason`);
    const pushSecret = this.text(rule.pushSecret, `${pointer}/pushSecret`);
    const pullSecrets = this.readSecrets(rule.pullSecret, `${pointer}/pullSecret`);
    const rules = new Map<string, Rule>();
    for (const [text, at] of this.oneOrMany(rule.registry, `${pointer}/registry`)) {
      const parsed = parsePattern(text);
      if (!parsed.ok) {
        this.refuse(parsed.code, at, parsed.message);
        continue;
      }
      const pattern = resolvePattern(parsed.pattern, trust);
      if (rules.has(pattern.text)) {
        this.warnings.push({
          code: 'duplicate-registry',
          message: `${renderPointer(at)} is ${pattern.text} once more; remove it`,
          position: this.data.locate(at),
        });
        continue;
      }
      rules.set(pattern.text, {
        name: name ?? pattern.text,
        pattern,
        trust,
        ...(reason !== undefined && { reason }),
        pullSecrets,
        ...(pushSecret !== undefined && { pushSecret }),
        onMissingSecret: 'warn',
        internal: false,
        origin: this.originOf(at),
      });
    }
    return [...rules.values()];
  }

  private checkTrustFields(rule: WrittenRule, trust: boolean, pointer: string): void {
    if (trust && rule.reason !== undefined) {
      const message = `${renderPointer(pointer)} trusts its registry, and a reason is shown to people whose image is refused; write "trust: false" with it, or make it a comment`;
      this.refuseField('reason-on-trusted', `${pointer}/reason`, message);
    }
    for (const field of ['pullSecret', 'pushSecret'] as const) {
      if (trust || rule[field] === undefined) continue;
      const message = `${renderPointer(pointer)} refuses its registry ("trust: false"), which then needs no ${field}; remove one of the two`;
      this.refuseField('secret-on-distrusted', `${pointer}/${field}`, message);
    }
  }

  private readSecrets(written: WrittenRule['pullSecret'], pointer: string): readonly string[] {
    if (written === undefined) return [];
    const names = new Set<string>();
    for (const [name, at] of this.oneOrMany(written, pointer)) {
      if (names.has(name)) {
        this.warnings.push({
          code: 'duplicate-secret',
          message: `${renderPointer(at)} is ${name} once more; remove it`,
          position: this.data.locate(at),
        });
      }
      names.add(name);
    }
    return [...names];
  }

  /** Folded blocks leave a line break behind the text. */
  private text(written: string | undefined, pointer: string): string | undefined {
    return this.fits(pointer) ? written?.trim() : undefined;
  }

  private oneOrMany(written: string | readonly string[], pointer: string): [string, string][] {
    if (!this.fits(pointer)) return [];
    return typeof written === 'string' ? [[written, pointer]] : this.entries(written, pointer);
  }

  private refuse(code: Finding['code'], pointer: string, sentence: string): never[] {
    this.findings.push({ code, message: `${renderPointer(pointer)}: ${sentence}`, position: this.data.locate(pointer) });
    return [];
  }

  private refuseField(code: Finding['code'], pointer: string, message: string): void {
    this.findings.push({ code, message, position: this.data.locateField(pointer) });
  }

  private originOf(pointer: string): Origin {
    return { source: this.source, ...this.data.locate(pointer) };
  }
}

function problemsOf(findings: readonly Finding[], source: RuleSource): readonly Problem[] {
  const inOrder = findings.toSorted((one, other) => one.position.line - other.position.line || one.position.column - other.position.column);
  const problems = inOrder
    .slice(0, mostProblems)
    .map(({ code, message, position }): Problem => ({ code, message, origin: { source, ...position } }));
  const next = inOrder[mostProblems];
  if (next) {
    const message = `${inOrder.length - mostProblems} more problems follow; repair those listed first`;
    problems.push({ code: 'too-many-problems', message, origin: { source, ...next.position } });
  }
  return problems;
}
