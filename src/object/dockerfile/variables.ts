/**
 * What `$name` stands for in a Dockerfile. The tools do not agree, so each of them has its own values here:
 * - before the first FROM, imagebuilder takes all words of one ARG before any of it counts, and keeps the values of the platform; BuildKit
 *   takes one after the other, and lets an ARG change them (imagebuilder builder.go, extractHeadingArgsFromNode; buildkit dockerfile2llb,
 *   buildMetaArgs);
 * - in a stage BuildKit refuses variables where an image is named. In imagebuilder ENV wins over ARG in whatever order they are written
 *   (builder.go: Step), COPY --from is looked up by ARG alone in some versions, and a stage that begins with another takes over its
 *   variables: its ENV, which is in the image, and in newer versions its ARG too (NewStages).
 */
import type { Budget } from './budget.ts';
import { blanks } from './lines.ts';
import { type Expansion, expandWord, isLiteral, type LookUp, unseen, unseenMark } from './word.ts';

export type BuildArgs = {
  /** They override the defaults of ARGs that the Dockerfile declares; undefined is a value nobody can see. */
  readonly given: ReadonlyMap<string, string | undefined>;
  /** Whether more may come when the build is started. */
  readonly mayGrow: boolean;
  /** The build strategy's `env`: OpenShift's builder writes it as ENV behind each FROM (openshift/builder, insertEnvAfterFrom). */
  readonly env?: ReadonlyMap<string, string | undefined>;
};

/** What the builder knows without being told; a build's node may be of another kind, which changes a name's last part or its tag. */
const platform: Readonly<Record<string, string>> = {
  TARGETPLATFORM: 'linux/amd64',
  TARGETOS: 'linux',
  TARGETARCH: 'amd64',
  TARGETVARIANT: '',
  BUILDPLATFORM: 'linux/amd64',
  BUILDOS: 'linux',
  BUILDARCH: 'amd64',
  BUILDVARIANT: '',
};

/** Build arguments that imagebuilder takes without any ARG (builder.go, builtinAllowedBuildArgs). */
const neverDeclared = new Set(['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY'].flatMap((name) => [name, name.toLowerCase()]));

export type Dialect = 'imagebuilder' | 'buildkit';

/** Expands words and remembers them while the variables stay as they are: thousands of lines may use one long variable. */
export class Expander {
  private readonly known = new Map<string, Expansion>();
  private readonly escapeCharacter: string;
  private readonly budget: Budget;
  private readonly lookUp: LookUp;

  constructor(escapeCharacter: string, budget: Budget, lookUp: LookUp) {
    this.escapeCharacter = escapeCharacter;
    this.budget = budget;
    this.lookUp = lookUp;
  }

  expand(word: string): Expansion {
    if (isLiteral(word)) return { kind: 'text', text: word };
    let expansion = this.known.get(word);
    if (!expansion) {
      expansion = expandWord(word, this.escapeCharacter, this.lookUp);
      this.budget.spend(word.length + (expansion.kind === 'unreadable' ? 0 : expansion.text.length));
      this.known.set(word, expansion);
    }
    return expansion;
  }

  forget(): void {
    this.known.clear();
  }
}

/** By the build arguments alone, whatever the Dockerfile declares: so buildah sees a FROM before it has read anything else. */
export function givenExpander(buildArgs: BuildArgs, budget: Budget): Expander {
  return new Expander('\\', budget, (name) => givenValue(name, buildArgs));
}

function givenValue(name: string, { given }: BuildArgs): Expansion | undefined {
  if (!given.has(name)) return undefined;
  const text = given.get(name);
  return text === undefined ? unseen : { kind: 'text', text };
}

/** A build argument that counts although no ARG names it. */
function undeclared(name: string, buildArgs: BuildArgs): Expansion | undefined {
  if (!neverDeclared.has(name)) return undefined;
  return givenValue(name, buildArgs) ?? (buildArgs.mayGrow ? unseen : undefined);
}

/** ARGs before the first FROM: they serve each FROM, and a stage as far as it declares them. */
export class HeadVariables {
  readonly buildArgs: BuildArgs;
  private readonly dialect: Dialect;
  private readonly escapeCharacter: string;
  private readonly values = new Map<string, Expansion>();
  private readonly words: Expander;
  private readonly stageNames: Expander;

  /** `escapeCharacter` is the one of the directive, which imagebuilder does not know in words. */
  constructor(buildArgs: BuildArgs, dialect: Dialect, escapeCharacter: string, budget: Budget) {
    this.buildArgs = buildArgs;
    this.dialect = dialect;
    this.escapeCharacter = escapeCharacter;
    for (const [name, text] of Object.entries(platform)) this.values.set(name, givenValue(name, buildArgs) ?? { kind: 'text', text });
    this.words = new Expander(dialect === 'buildkit' ? escapeCharacter : '\\', budget, (name) => this.valueOf(name));
    this.stageNames = new Expander('\\', budget, (name) => this.valueForStages(name));
  }

  /** ARG: names, each with or without a default. */
  declare(rest: string): void {
    const words = wordsOf(rest, this.escapeCharacter);
    if (this.dialect === 'imagebuilder') for (const declared of this.expandAll(words)) this.set(declared);
    else for (const word of words) this.set(splitDeclaration(word, (text) => this.words.expand(text)));
  }

  expand(word: string): Expansion {
    return this.words.expand(word);
  }

  /** The name of a stage, which newer versions of imagebuilder expand. */
  expandStageName(name: string): Expansion {
    return this.stageNames.expand(name);
  }

  /** What imagebuilder takes when it puts the stages together: there the values of the platform win over build arguments (NewStages). */
  valueForStages(name: string): Expansion | undefined {
    const text = Object.hasOwn(platform, name) ? platform[name] : undefined;
    return text === undefined ? this.valueOf(name) : { kind: 'text', text };
  }

  valueOf(name: string): Expansion | undefined {
    return this.values.get(name) ?? (this.dialect === 'imagebuilder' ? undeclared(name, this.buildArgs) : undefined);
  }

  private expandAll(words: readonly string[]): readonly Declaration[] {
    return words.map((word) => expandDeclaration(word, (text) => this.words.expand(text)));
  }

  private set({ name, value }: Declaration): void {
    if (this.dialect === 'imagebuilder' && Object.hasOwn(platform, name)) return;
    const kept = this.values.get(name) ?? (this.buildArgs.mayGrow ? unseen : undefined);
    const now = givenValue(name, this.buildArgs) ?? value ?? kept;
    if (now) this.values.set(name, now);
    this.words.forget();
    this.stageNames.forget();
  }
}

/** How versions of imagebuilder differ in what a stage begins with. */
export type StageVersion = {
  /** A stage takes over the ARGs of the stage that it begins with. */
  readonly inheritsArgs: boolean;
  /** A stage takes over the ENV of the stage that it begins with; not so where the build strategy puts another base in its place. */
  readonly inheritsEnv: boolean;
  /** An ARG can change the values of the platform. */
  readonly changesPlatform: boolean;
};

export const stageVersions: readonly StageVersion[] = [
  { inheritsArgs: true, inheritsEnv: true, changesPlatform: false },
  { inheritsArgs: false, inheritsEnv: true, changesPlatform: true },
  { inheritsArgs: false, inheritsEnv: false, changesPlatform: false },
];

/** ARG and ENV of one stage, as imagebuilder has them. */
export class StageVariables {
  private readonly head: HeadVariables;
  private readonly version: StageVersion;
  private readonly escapeCharacter: string;
  private readonly args: Map<string, Expansion>;
  private readonly env: Map<string, Expansion>;
  /** What the next stage takes over: the ARGs as they are without any ENV, and without those that this stage took over. */
  private readonly inherited: Map<string, Expansion>;
  private readonly own = new Map<string, Expansion>();
  private readonly byArgs: Expander;
  private readonly byAll: Expander;
  private readonly bare: Expander;

  constructor(head: HeadVariables, version: StageVersion, escapeCharacter: string, budget: Budget, base?: StageVariables) {
    this.head = head;
    this.version = version;
    this.escapeCharacter = escapeCharacter;
    this.args = new Map(version.inheritsArgs ? base?.inherited : undefined);
    this.inherited = new Map(this.args);
    this.env = new Map(version.inheritsEnv ? base?.env : undefined);
    // Copying an entry costs about as much as expanding some characters.
    budget.spend(8 * (this.args.size + this.env.size));
    const argument = (name: string) => this.args.get(name) ?? undeclared(name, head.buildArgs);
    this.byArgs = new Expander('\\', budget, argument);
    this.byAll = new Expander('\\', budget, (name) => this.env.get(name) ?? argument(name));
    this.bare = new Expander('\\', budget, (name) => this.own.get(name) ?? head.valueForStages(name));
    this.setAllEnv(
      [...(head.buildArgs.env ?? [])].map(([name, text]) => [name, text === undefined ? unseen : this.byAll.expand(inQuotes(text))]),
    );
  }

  /** ARG: names, each with or without a default. */
  declare(rest: string): void {
    const words = wordsOf(rest, this.escapeCharacter);
    const declared = words.map((word) => expandDeclaration(word, (text) => this.byAll.expand(text)));
    for (const each of declared) this.declareIn(this.args, each);
    if (this.version.inheritsArgs) {
      for (const word of words) {
        const bare = expandDeclaration(word, (text) => this.bare.expand(text));
        this.declareIn(this.inherited, bare);
        this.own.set(bare.name, bare.value ?? { kind: 'text', text: '' });
        this.bare.forget();
      }
    }
    this.byArgs.forget();
    this.byAll.forget();
  }

  /** ENV: `name=value …`, or `name value`. */
  set(rest: string): void {
    const words = wordsOf(rest, this.escapeCharacter);
    const [first = ''] = words;
    const pairs = first.includes('=') ? words : [`${first}=${rest.slice(rest.search(blanks)).replace(/^[\t\v\f\r ]+/, '')}`];
    const declared = pairs.map((pair) => splitDeclaration(pair, (text) => this.byAll.expand(text), true));
    this.setAllEnv(declared.flatMap(({ name, value }) => (value ? [[name, value] as const] : [])));
  }

  /** By ENV, and by ARG where no ENV has the name. */
  expand(word: string): Expansion {
    return this.byAll.expand(word);
  }

  expandByArgs(word: string): Expansion {
    return this.byArgs.expand(word);
  }

  /** The variables of one ENV line. They are expanded before any of them is set. */
  private setAllEnv(variables: readonly (readonly [name: string, value: Expansion])[]): void {
    for (const [name, value] of variables) this.env.set(name, value);
    if (variables.length > 0) this.byAll.forget();
  }

  private declareIn(values: Map<string, Expansion>, { name, value }: Declaration): void {
    const { buildArgs } = this.head;
    const ofPlatform = Object.hasOwn(platform, name) && !(this.version.changesPlatform && value) ? this.head.valueOf(name) : undefined;
    const unset = values.get(name) ?? (buildArgs.mayGrow ? unseen : undefined);
    const now = givenValue(name, buildArgs) ?? ofPlatform ?? value ?? this.head.valueOf(name) ?? unset;
    if (now) values.set(name, now);
  }
}

type Declaration = { readonly name: string; readonly value: Expansion | undefined };

/** imagebuilder expands the word as a whole, so a variable may give the name too, or both (dispatchers.go, arg). */
function expandDeclaration(word: string, expand: (text: string) => Expansion): Declaration {
  const whole = expand(word);
  if (whole.kind === 'unreadable') return splitDeclaration(word, expand);
  const equals = whole.text.indexOf('=');
  if (equals < 0) return { name: whole.text, value: undefined };
  const text = whole.text.slice(equals + 1);
  return {
    name: whole.text.slice(0, equals),
    value: { kind: whole.kind === 'unseen' && text.includes(unseenMark) ? 'unseen' : 'text', text },
  };
}

function splitDeclaration(word: string, expand: (text: string) => Expansion, expandsName = false): Declaration {
  const equals = word.indexOf('=');
  const name = equals < 0 ? word : word.slice(0, equals);
  const expanded = expandsName ? expand(name) : undefined;
  return {
    name: expanded && expanded.kind !== 'unreadable' ? expanded.text : name,
    value: equals < 0 ? undefined : expand(word.slice(equals + 1)),
  };
}

/** As OpenShift's builder writes a value of the strategy's `env`: variables in it count. */
function inQuotes(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** As parseWords of both tools: at white space outside quotes, which stay. */
function wordsOf(text: string, escapeCharacter: string): readonly string[] {
  const words: string[] = [];
  let word = '';
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === escapeCharacter && quote !== "'") word += character + text.charAt(++at);
    else if (quote === '' && /\s/.test(character)) {
      if (word !== '') words.push(word);
      word = '';
    } else {
      if (character === quote) quote = '';
      else if (quote === '' && (character === '"' || character === "'")) quote = character;
      word += character;
    }
  }
  return word === '' ? words : [...words, word];
}
