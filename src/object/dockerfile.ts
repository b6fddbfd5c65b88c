/**
 * The images a Dockerfile names: FROM, COPY --from, RUN --mount=from=. The grammar is dockerfile-ast's; what is ours is which of the
 * names are images. `scratch`, names and numbers of stages are not.
 */
import { DockerfileParser, type From, type Instruction } from 'dockerfile-ast';

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

/** In the order they stand. `buildArgs` override the defaults of ARGs that the Dockerfile declares. */
export function readDockerfileImages(text: string, buildArgs: ReadonlyMap<string, string>): readonly DockerfileImage[] {
  const dockerfile = DockerfileParser.parse(text);
  const variables = new Map<string, string | undefined>();
  for (const arg of dockerfile.getInitialARGs()) {
    const property = arg.getProperty();
    if (property) variables.set(property.getName(), buildArgs.get(property.getName()) ?? property.getUnescapedValue() ?? undefined);
  }

  const froms = dockerfile.getFROMs();
  const lastFrom = froms.at(-1);
  const stages = new Set<string>();
  const images: DockerfileImage[] = [];
  for (const instruction of dockerfile.getInstructions()) {
    for (const name of namesIn(instruction)) {
      const image = substitute(name.written, variables);
      const isStage = image !== undefined && (stages.has(image.toLowerCase()) || (name.instruction !== 'FROM' && /^\d+$/.test(image)));
      if (!isStage && image !== 'scratch') images.push({ ...name, image, lastFrom: instruction === lastFrom });
    }
    // A stage can be named by the lines after its FROM, not by its own.
    if (instruction.getKeyword() === 'FROM') {
      const stage = (instruction as From).getBuildStage();
      if (stage) stages.add(stage.toLowerCase());
    }
  }
  return images;
}

type WrittenName = Pick<DockerfileImage, 'instruction' | 'line' | 'written'>;

function namesIn(instruction: Instruction): readonly WrittenName[] {
  const line = instruction.getRange().start.line + 1;
  switch (instruction.getKeyword()) {
    case 'FROM': {
      const image = (instruction as From).getImage();
      return image ? [{ instruction: 'FROM', line, written: unquote(image) }] : [];
    }
    case 'COPY':
      return flagsOf(instruction)
        .filter((flag) => flag.getName() === 'from')
        .flatMap((flag) => flag.getValue() ?? [])
        .map((written) => ({ instruction: 'COPY --from' as const, line, written: unquote(written) }));
    case 'RUN':
      return flagsOf(instruction)
        .filter((flag) => flag.getName() === 'mount')
        .flatMap((flag) => flag.getOption('from')?.getValue() ?? [])
        .map((written) => ({ instruction: 'RUN --mount' as const, line, written: unquote(written) }));
    default:
      return [];
  }
}

type Flag = { getName(): string; getValue(): string | null; getOption(name: string): { getValue(): string | null } | null };

function flagsOf(instruction: Instruction): readonly Flag[] {
  return 'getFlags' in instruction ? (instruction as Instruction & { getFlags(): Flag[] }).getFlags() : [];
}

function unquote(text: string): string {
  const quoted = /^"(.*)"$/.exec(text) ?? /^'(.*)'$/.exec(text);
  return quoted?.[1] ?? text;
}

/** `$name`, `${name}`, `${name:-word}`, `${name-word}`, `${name:+word}`, `${name+word}` (docs.docker.com, "Environment replacement"). */
function substitute(text: string, variables: ReadonlyMap<string, string | undefined>): string | undefined {
  let resolved = true;
  const result = text.replace(/\$(?:(\w+)|\{(\w+)(?:(:?[-+])([^${}]*))?\})/g, (_all, bare, braced, operator, word: string | undefined) => {
    const value = variables.get(bare ?? braced);
    const set = operator?.startsWith(':') ? value !== undefined && value !== '' : value !== undefined;
    if (operator?.endsWith('-') && !set) return word ?? '';
    if (operator?.endsWith('+')) return set ? (word ?? '') : '';
    if (value === undefined) resolved = false;
    return value ?? '';
  });
  return resolved && !result.includes('$') ? result : undefined;
}
