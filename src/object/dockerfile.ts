/**
 * The images a Dockerfile names: FROM, COPY --from, RUN --mount=from=. The grammar is dockerfile-ast's; what is ours is which of the
 * names are images. `scratch`, names and numbers of stages are not.
 */
import { type Argument, DockerfileParser, type From, type Instruction, type Onbuild } from 'dockerfile-ast';
import { expandWord } from './dockerfile-word.ts';

/** `image` is undefined where a variable without a value stands in it. */
export type DockerfileImage = {
  readonly instruction: 'FROM' | 'COPY --from' | 'RUN --mount';
  /** 1-based. */
  readonly line: number;
  readonly written: string;
  readonly image: string | undefined;
  /** Whether it starts the last stage, the one `strategy.from` of a BuildConfig stands in for. */
  readonly lastFrom: boolean;
};

/** In the order they stand. `buildArgs` override the defaults of ARGs that the Dockerfile declares; undefined is a value nobody can see. */
export function readDockerfileImages(text: string, buildArgs: ReadonlyMap<string, string | undefined>): readonly DockerfileImage[] {
  const dockerfile = DockerfileParser.parse(text);
  const escapeCharacter = dockerfile.getEscapeCharacter();
  const lastFrom = dockerfile.getFROMs().at(-1);
  const variables = new Variables(buildArgs, escapeCharacter);
  const stages = new Set<string>();
  const images: DockerfileImage[] = [];
  for (const instruction of dockerfile.getInstructions()) {
    if (instruction.getKeyword() === 'ARG') variables.declare(instruction.getArguments());
    const isFrom = instruction.getKeyword() === 'FROM';
    for (const name of namesIn(instruction)) {
      const image = expandWord(name.written, escapeCharacter, (variable) =>
        isFrom ? variables.global(variable) : variables.get(variable),
      );
      if (!isImage(image, name, stages)) continue;
      const { line, written } = name;
      images.push({ instruction: name.instruction, line, written, image: image || undefined, lastFrom: instruction === lastFrom });
    }
    if (!isFrom) continue;
    variables.startStage();
    // A stage can be named by the lines after its FROM, not by its own.
    const stage = (instruction as From).getBuildStage();
    if (stage) stages.add(stage.toLowerCase());
  }
  return images;
}

type WrittenName = Pick<DockerfileImage, 'instruction' | 'line' | 'written'> & {
  /** ONBUILD: carried out in the build of another Dockerfile, with that one's stages. */
  readonly later?: true;
};

function isImage(image: string | undefined, { instruction, later }: WrittenName, stages: ReadonlySet<string>): boolean {
  if (image === undefined) return true;
  if (image === 'scratch' || stages.has(image.toLowerCase())) return false;
  if (instruction !== 'FROM' && /^\d*$/.test(image)) return false;
  // What may be a stage there is left to that build; no stage's name has any of these.
  return !later || /[/:@]/.test(image);
}

/** ARGs before the first FROM serve the FROMs, and a stage as far as it does not declare its own. */
class Variables {
  private readonly globals = new Map<string, string | undefined>();
  private stage: Map<string, string | undefined> | undefined;
  private readonly buildArgs: ReadonlyMap<string, string | undefined>;
  private readonly escapeCharacter: string;

  constructor(buildArgs: ReadonlyMap<string, string | undefined>, escapeCharacter: string) {
    this.buildArgs = buildArgs;
    this.escapeCharacter = escapeCharacter;
  }

  startStage(): void {
    this.stage = new Map();
  }

  declare(args: readonly Argument[]): void {
    for (const arg of args) {
      const [name = '', ...rest] = arg.getValue().split('=');
      const initial =
        rest.length > 0 ? expandWord(rest.join('='), this.escapeCharacter, (other) => this.get(other)) : this.globals.get(name);
      (this.stage ?? this.globals).set(name, this.buildArgs.has(name) ? this.buildArgs.get(name) : initial);
    }
  }

  get(name: string): string | undefined {
    return this.stage?.has(name) ? this.stage.get(name) : this.globals.get(name);
  }

  global(name: string): string | undefined {
    return this.globals.get(name);
  }
}

function namesIn(instruction: Instruction): readonly WrittenName[] {
  const line = instruction.getRange().start.line + 1;
  switch (instruction.getKeyword()) {
    case 'FROM': {
      const written = (instruction as From).getImage();
      return written ? [{ instruction: 'FROM', line, written }] : [];
    }
    case 'COPY':
      return flagValues(instruction, 'from').map((written) => ({ instruction: 'COPY --from', line, written }));
    case 'RUN':
      return flagValues(instruction, 'mount')
        .flatMap(mountSources)
        .map((written) => ({ instruction: 'RUN --mount', line, written }));
    case 'ONBUILD': {
      const trigger = (instruction as Onbuild).getTriggerInstruction();
      const nested = trigger === null || trigger.getKeyword() === 'ONBUILD' || trigger.getKeyword() === 'FROM';
      return nested ? [] : namesIn(trigger).map((name) => ({ ...name, later: true }));
    }
    default:
      return [];
  }
}

/** `type=bind,from=IMAGE,target=/x` is one CSV record whose keys know no case (buildkit frontend/dockerfile/instructions). */
function mountSources(mount: string): readonly string[] {
  return mount.split(',').flatMap((field) => {
    const [, value] = /^"?from=(.*?)"?$/is.exec(field) ?? [];
    return value ?? [];
  });
}

type Flag = { getName(): string; getValue(): string | null };

function flagValues(instruction: Instruction, name: string): readonly string[] {
  const flags = 'getFlags' in instruction ? (instruction as Instruction & { getFlags(): Flag[] }).getFlags() : [];
  return flags.filter((flag) => flag.getName() === name).flatMap((flag) => flag.getValue() ?? []);
}
