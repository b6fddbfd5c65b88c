/**
 * The images a Dockerfile names: FROM, COPY --from, RUN --mount=from=. `scratch`, names and numbers of stages are none. What any of the
 * tools would pull counts, see dockerfile-lines.ts; a word that cannot be followed is given as it is written, and no image is named so.
 *
 * `# syntax=` names an image too, which BuildKit alone pulls; no build of OpenShift's does.
 */
import { parseImage } from '../image/reference.ts';
import { blanks, type Instruction, type Reading, readInstructions, triggerOf } from './dockerfile-lines.ts';
import { type Expansion, expandWord } from './dockerfile-word.ts';

/** `image` is undefined where nothing can be said: its value is kept elsewhere, or empty. */
export type DockerfileImage = {
  readonly instruction: 'FROM' | 'COPY --from' | 'RUN --mount';
  /** 1-based. */
  readonly line: number;
  readonly written: string;
  readonly image: string | undefined;
  /** Whether it starts the last stage, the one `strategy.from` of a BuildConfig stands in for. */
  readonly lastFrom: boolean;
};

export type BuildArgs = {
  /** They override the defaults of ARGs that the Dockerfile declares; undefined is a value nobody can see. */
  readonly given: ReadonlyMap<string, string | undefined>;
  /** Whether more may come when the build is started. */
  readonly mayGrow: boolean;
};

/** In the order they stand. */
export function readDockerfileImages(text: string, buildArgs: BuildArgs): readonly DockerfileImage[] {
  const found = new Map<string, DockerfileImage>();
  for (const reading of readInstructions(text)) {
    for (const image of imagesOf(reading, buildArgs)) {
      const key = `${image.line} ${image.instruction} ${image.written} ${image.image}`;
      // One that is not the last for every tool is not replaced for every tool.
      const lastFrom = image.lastFrom && (found.get(key)?.lastFrom ?? true);
      found.set(key, { ...image, lastFrom });
    }
  }
  return [...found.values()].sort((left, right) => left.line - right.line);
}

function imagesOf({ instructions, escapeCharacter }: Reading, buildArgs: BuildArgs): readonly DockerfileImage[] {
  const lastFrom = instructions.findLast(({ keyword }) => keyword === 'FROM');
  const variables = new Variables(buildArgs, escapeCharacter);
  const stages = new Stages();
  const images: DockerfileImage[] = [];
  for (const instruction of instructions) {
    if (instruction.keyword === 'ARG') variables.declare(instruction.rest);
    if (instruction.keyword === 'ENV') variables.set(instruction.rest);
    const isFrom = instruction.keyword === 'FROM';
    for (const name of namesIn(instruction)) {
      const expansion = expandWord(name.written, escapeCharacter, (variable) =>
        isFrom ? variables.global(variable) : variables.get(variable),
      );
      const image = expansion.kind === 'text' ? expansion.text : expansion.kind === 'unreadable' ? name.written : undefined;
      if (image !== undefined && !isImage(image, name, stages)) continue;
      const { line, written } = name;
      images.push({ instruction: name.instruction, line, written, image: image || undefined, lastFrom: instruction === lastFrom });
    }
    if (!isFrom) continue;
    variables.startStage();
    // A stage can be named by the lines after its FROM, not by its own.
    stages.add(instruction);
  }
  return images;
}

type WrittenName = Pick<DockerfileImage, 'instruction' | 'line' | 'written'> & {
  /** ONBUILD: carried out in the build of another Dockerfile, with that one's stages. */
  readonly later?: true;
};

function isImage(image: string, { instruction, later }: WrittenName, stages: Stages): boolean {
  if (image === 'scratch' || stages.has(image, instruction !== 'FROM')) return false;
  if (instruction !== 'FROM' && image === '') return false;
  // What may be a stage there is left to that build; no stage's name has any of these.
  return !later || /[/:@]/.test(image);
}

class Stages {
  private readonly names = new Set<string>();
  private readonly lowered = new Set<string>();
  private count = 0;

  add({ rest }: Instruction): void {
    this.count++;
    const [, as = '', name = ''] = rest.split(blanks);
    if (as.toLowerCase() !== 'as' || name === '') return;
    this.names.add(name);
    this.lowered.add(name.toLowerCase());
  }

  has(name: string, orNumber: boolean): boolean {
    if (this.names.has(name)) return true;
    if (orNumber && /^\d{1,9}$/.test(name)) return Number(name) < this.count;
    // In other letters it is the same stage for BuildKit, and an image for imagebuilder, if images can be called so.
    return this.lowered.has(name.toLowerCase()) && !parseImage(name).ok;
  }
}

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

/** ARGs before the first FROM serve the FROMs, and a stage as far as it does not declare its own. */
class Variables {
  private readonly globals = new Map<string, Expansion | undefined>();
  private stage: Map<string, Expansion | undefined> | undefined;
  private readonly buildArgs: BuildArgs;
  private readonly escapeCharacter: string;

  constructor(buildArgs: BuildArgs, escapeCharacter: string) {
    this.buildArgs = buildArgs;
    this.escapeCharacter = escapeCharacter;
    for (const [name, text] of Object.entries(platform)) this.globals.set(name, this.given(name) ?? { kind: 'text', text });
  }

  startStage(): void {
    this.stage = new Map();
  }

  /** ARG: names, each with or without a default. */
  declare(rest: string): void {
    for (const word of wordsOf(rest, this.escapeCharacter)) {
      const at = word.indexOf('=');
      const name = at < 0 ? word : word.slice(0, at);
      const unset: Expansion | undefined = this.buildArgs.mayGrow ? { kind: 'unseen' } : undefined;
      const initial = at < 0 ? (this.globals.get(name) ?? unset) : this.expand(word.slice(at + 1));
      (this.stage ?? this.globals).set(name, this.given(name) ?? initial);
    }
  }

  /** ENV: `name=value …`, or `name value`. It is for a stage, and wins over ARG there. */
  set(rest: string): void {
    const words = wordsOf(rest, this.escapeCharacter);
    const [first = ''] = words;
    const pairs = first.includes('=') ? words : [`${first}=${rest.slice(rest.search(blanks)).replace(/^[\t\v\f\r ]+/, '')}`];
    // All values of one line are taken before any of it counts.
    const values = pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), this.expand(pair.slice(pair.indexOf('=') + 1))] as const);
    for (const [name, value] of values) this.stage?.set(name, value);
  }

  get(name: string): Expansion | undefined {
    return this.stage?.has(name) ? this.stage.get(name) : this.globals.get(name);
  }

  global(name: string): Expansion | undefined {
    return this.globals.get(name);
  }

  private given(name: string): Expansion | undefined {
    const { given } = this.buildArgs;
    if (!given.has(name)) return undefined;
    const text = given.get(name);
    return text === undefined ? { kind: 'unseen' } : { kind: 'text', text };
  }

  private expand(word: string): Expansion {
    return expandWord(word, this.escapeCharacter, (name) => this.get(name));
  }
}

function namesIn(instruction: Instruction): readonly WrittenName[] {
  const { keyword, line, rest } = instruction;
  switch (keyword) {
    case 'FROM': {
      const [written = ''] = rest.split(blanks, 1);
      return written === '' ? [] : [{ instruction: 'FROM', line, written }];
    }
    case 'COPY':
      return flagValues(instruction, 'from').map((written) => ({ instruction: 'COPY --from', line, written }));
    case 'RUN':
      return flagValues(instruction, 'mount')
        .flatMap(mountSources)
        .map((written) => ({ instruction: 'RUN --mount', line, written }));
    case 'ONBUILD': {
      const trigger = triggerOf(instruction);
      const nested = !trigger || trigger.keyword === 'ONBUILD' || trigger.keyword === 'FROM';
      return nested ? [] : namesIn(trigger).map((name) => ({ ...name, later: true }));
    }
    default:
      return [];
  }
}

/** `type=bind,from=IMAGE,target=/x` is one CSV record whose keys know no case (buildkit frontend/dockerfile/instructions). */
function mountSources(mount: string): readonly string[] {
  return mount.split(',').flatMap((field) => {
    const text = field.trim().replace(/^"/, '').trimStart();
    return /^from=/i.test(text) ? text.slice('from='.length).replace(/"$/, '') : [];
  });
}

/** A variable may stand for the whole flag, and then it is one only for the tool that expands flags: written so, nobody else builds it. */
function flagValues({ flags }: Instruction, name: string): readonly string[] {
  return flags.flatMap((flag) => (flag.startsWith(`--${name}=`) ? [flag.slice(name.length + 3)] : []));
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
