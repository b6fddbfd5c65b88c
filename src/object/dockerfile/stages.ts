/**
 * Decides which names in a Dockerfile are stages and which are images. The tools differ:
 * - BuildKit compares stage names case-insensitively, and allows only letters, digits, `-`, `_` and `.` in them;
 * - imagebuilder allows any image name as the name of a stage;
 * - buildah skips a stage that the last stage does not need. It determines this before it expands variables, so the stage may be used after
 *   all. Then buildah pulls an image with the stage's name (containers/buildah imagebuildah executor.go: dependencyMap; seen with 1.28.2).
 */
import { parseImage } from '../../image/reference.ts';
import { blanks, type Instruction } from './lines.ts';
import { fieldsOfMount, flagsOf } from './names.ts';
import { isLiteral } from './word.ts';

/** BuildKit allows none of these characters in the name of a stage, so a name with one of them is always an image. */
export function canBeStage(name: string): boolean {
  return !/[/:@]/.test(name);
}

/** Why a name is read as an image although the Dockerfile has a stage of that name or number. */
export type StageConfusion = 'not-earlier' | 'skipped' | 'not-a-name' | 'number' | 'other-letters';

export class Stages {
  /** In order. A stage without a name is called by its number. */
  private readonly names: readonly string[];
  private readonly needed: ReadonlySet<string>;
  /** Whether a stage has a variable in its name, which only some versions of imagebuilder expand. */
  private readonly namesVary: boolean;
  /** Name to position of the stages before the current one, as written and as some tools expand it. The last stage of a name wins. */
  private readonly earlier = new Map<string, number>();
  private readonly lowered = new Set<string>();
  private current = -1;

  /** `expandByBuildArgs` expands a name by the build arguments alone. */
  constructor(instructions: readonly Instruction[], expandByBuildArgs: (word: string) => string) {
    this.names = instructions.filter(({ keyword }) => keyword === 'FROM').map((from, index) => stageName(from) ?? String(index));
    this.needed = neededNames(instructions, this.names, expandByBuildArgs);
    this.namesVary = !this.names.every(isLiteral);
  }

  /** Goes back to before the first stage. */
  restart(): this {
    this.earlier.clear();
    this.lowered.clear();
    this.current = -1;
    return this;
  }

  /** Goes on to the next stage. The stage before it can be named from now on, the current stage cannot. */
  next(expand: (name: string) => string): void {
    const name = this.names[this.current];
    if (name !== undefined) this.earlier.set(name, this.current).set(expand(name), this.current);
    this.current++;
    this.lowered.add(this.names[this.current]?.toLowerCase() ?? '');
  }

  /** Whether some tool would pull an image of this name. Only COPY accepts the number of a stage: elsewhere some tools read it as a name. */
  isImage(name: string): boolean {
    if (!canBeStage(name) || isNumber(name)) return true;
    // The current stage shadows an earlier one of the same name.
    if (this.names[this.current] === name) return true;
    if (this.earlier.has(name)) return this.isSkipped(name);
    // A name that differs only in case is the same stage for BuildKit, which rejects it in the stage itself. For imagebuilder it is an
    // image, if it is a valid image name.
    return !(this.lowered.has(name.toLowerCase()) && !parseImage(name).ok);
  }

  /**
   * The image that COPY --from pulls for a number: the name of the stage with that number, where it cannot be used as a stage. Undefined
   * where it can. For a number after the last stage every tool fails, and the number itself is returned.
   */
  imageOfNumber(text: string): string | undefined {
    const position = Number(text);
    const name = this.names[position];
    if (name === undefined) return text;
    const isStage = position < this.current && this.names[this.current] !== name && !this.isSkipped(name);
    return isStage ? undefined : name;
  }

  private isSkipped(name: string): boolean {
    if (this.namesVary) return true;
    const current = this.names[this.current];
    return current !== undefined && this.needed.has(current) && !this.needed.has(name);
  }

  /** Whether a stage up to the current one has the name. If so, OpenShift's builder does not replace it with an image of `source.images`. */
  knows(name: string): boolean {
    return this.earlier.has(name) || this.names[this.current] === name;
  }

  /**
   * Why a name that {@link isImage} or {@link imageOfNumber} reads as an image is not the stage that it seems to name. Undefined where it
   * seems to name none.
   */
  confusionWith(name: string, byNumber: boolean): StageConfusion | undefined {
    if (isNumber(name) && Number(name) < this.names.length) {
      if (!byNumber) return 'number';
      return Number(name) < this.current ? 'skipped' : 'not-earlier';
    }
    if (this.earlier.has(name) && this.names[this.current] !== name) return canBeStage(name) ? 'skipped' : 'not-a-name';
    if (this.names.includes(name)) return 'not-earlier';
    return this.lowered.has(name.toLowerCase()) ? 'other-letters' : undefined;
  }

  /** The position of the stage that a FROM starts from. Undefined for an image. */
  positionOf(name: string): number | undefined {
    return this.earlier.get(name);
  }
}

/** As Go parses integers (strconv.Atoi). */
export function isNumber(text: string): boolean {
  return /^[+-]?\d{1,18}$/.test(text);
}

function stageName({ rest }: Instruction): string | undefined {
  const [, as = '', name = ''] = rest.split(blanks);
  return as.toLowerCase() === 'as' && name !== '' ? name : undefined;
}

function neededNames(
  instructions: readonly Instruction[],
  names: readonly string[],
  expandByBuildArgs: (word: string) => string,
): ReadonlySet<string> {
  const needs = new Map<string, string[]>();
  let position = -1;
  const add = (name: string) => {
    if (needs.has(name)) needs.get(names[position] ?? '')?.push(name);
  };
  for (const instruction of instructions) {
    const { keyword, rest } = instruction;
    if (keyword === 'FROM') {
      needs.set(names[++position] ?? '', []);
      add(expandByBuildArgs(rest.split(blanks, 1)[0] ?? ''));
    } else if (keyword === 'COPY' || keyword === 'ADD') {
      for (const name of flagsOf(instruction, '--from=')) add(isNumber(name) ? (names[Number(name)] ?? name) : name);
    } else if (keyword === 'RUN') {
      for (const mount of flagsOf(instruction, '--mount=')) for (const name of fieldsOfMount(mount)) add(name);
    }
  }
  return reachableFrom(names.at(-1) ?? '', needs);
}

function reachableFrom(start: string, needs: ReadonlyMap<string, readonly string[]>): ReadonlySet<string> {
  const reached = new Set([start]);
  // Iterating over a set also visits what is added during the iteration.
  for (const name of reached) for (const other of needs.get(name) ?? []) reached.add(other);
  return reached;
}
