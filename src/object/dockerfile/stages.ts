/**
 * Which names in a Dockerfile are stages. BuildKit takes a stage's name in any letters, but allows no other characters than letters, digits,
 * `-`, `_` and `.` in it; for imagebuilder a stage may be called like any image. buildah leaves out a stage that the last one does not need,
 * which it sees before variables are expanded, and pulls an image of the stage's name where such a stage is used all the same
 * (containers/buildah imagebuildah executor.go: dependencyMap; seen with 1.28.2).
 */
import { parseImage } from '../../image/reference.ts';
import { blanks, type Instruction } from './lines.ts';
import { fieldsOfMount, flagsOf } from './names.ts';
import { isLiteral } from './word.ts';

/** No stage of BuildKit's has any of these in its name, so what has is always an image: no stage can stand in for it. */
export function canBeStage(name: string): boolean {
  return !/[/:@]/.test(name);
}

/** How an image comes to be called like a stage. */
export type StageConfusion = 'not-earlier' | 'skipped' | 'not-a-name' | 'number' | 'other-letters';

export class Stages {
  /** By position. A stage without a name has its number for one. */
  private readonly names: readonly string[];
  private readonly needed: ReadonlySet<string>;
  /** Whether a stage has a variable in its name: versions of imagebuilder disagree about what it is called. */
  private readonly namesVary: boolean;
  /** The stages before the current one by name, as it is written and as some tools expand it; of several with one name the last. */
  private readonly earlier = new Map<string, number>();
  private readonly lowered = new Set<string>();
  private current = -1;

  /** `given` expands a name by the build arguments alone. */
  constructor(instructions: readonly Instruction[], given: (word: string) => string) {
    this.names = instructions.filter(({ keyword }) => keyword === 'FROM').map((from, index) => stageName(from) ?? String(index));
    this.needed = neededNames(instructions, this.names, given);
    this.namesVary = !this.names.every(isLiteral);
  }

  /** Back to before the first stage. */
  restart(): this {
    this.earlier.clear();
    this.lowered.clear();
    this.current = -1;
    return this;
  }

  /** Goes on to the next stage; the one before it can be named from now on, the current one cannot. */
  next(expand: (name: string) => string): void {
    const name = this.names[this.current];
    if (name !== undefined) this.earlier.set(name, this.current).set(expand(name), this.current);
    this.current++;
    this.lowered.add(this.names[this.current]?.toLowerCase() ?? '');
  }

  /** Whether some tool would pull an image of this name. Numbers are for COPY alone: elsewhere some tools take them for names. */
  isImage(name: string): boolean {
    if (!canBeStage(name) || isNumber(name)) return true;
    // The current stage takes the name from an earlier one.
    if (this.names[this.current] === name) return true;
    if (this.earlier.has(name)) return this.isLeftOut(name);
    // In other letters it is the same stage for BuildKit, which refuses it in the stage itself, and an image for imagebuilder, if images
    // can be called so.
    return !(this.lowered.has(name.toLowerCase()) && !parseImage(name).ok);
  }

  /**
   * What a number behind COPY --from stands for where that is no stage before the current one: the name of that stage as an image.
   * Beyond the last stage no tool goes on, and the number is given.
   */
  imageOfNumber(text: string): string | undefined {
    const position = Number(text);
    const name = this.names[position];
    if (name === undefined) return text;
    const isStage = position < this.current && this.names[this.current] !== name && !this.isLeftOut(name);
    return isStage ? undefined : name;
  }

  private isLeftOut(name: string): boolean {
    if (this.namesVary) return true;
    const current = this.names[this.current];
    return current !== undefined && this.needed.has(current) && !this.needed.has(name);
  }

  /** Whether a stage up to the current one has the name: OpenShift's builder puts no other image in its place then. */
  knows(name: string): boolean {
    return this.earlier.has(name) || this.names[this.current] === name;
  }

  /** Why a name that {@link isImage} or {@link imageOfNumber} takes for an image is none of the stages it seems to name; undefined where it seems to name none. */
  confusionWith(name: string, byNumber: boolean): StageConfusion | undefined {
    if (isNumber(name) && Number(name) < this.names.length) {
      if (!byNumber) return 'number';
      return Number(name) < this.current ? 'skipped' : 'not-earlier';
    }
    if (this.earlier.has(name) && this.names[this.current] !== name) return canBeStage(name) ? 'skipped' : 'not-a-name';
    if (this.names.includes(name)) return 'not-earlier';
    return this.lowered.has(name.toLowerCase()) ? 'other-letters' : undefined;
  }

  /** The position of the stage that a FROM begins with, undefined for an image. */
  positionOf(name: string): number | undefined {
    return this.earlier.get(name);
  }
}

/** As Go reads it (strconv.Atoi). */
export function isNumber(text: string): boolean {
  return /^[+-]?\d{1,18}$/.test(text);
}

function stageName({ rest }: Instruction): string | undefined {
  const [, as = '', name = ''] = rest.split(blanks);
  return as.toLowerCase() === 'as' && name !== '' ? name : undefined;
}

function neededNames(instructions: readonly Instruction[], names: readonly string[], given: (word: string) => string): ReadonlySet<string> {
  const needs = new Map<string, string[]>();
  let position = -1;
  const add = (name: string) => {
    if (needs.has(name)) needs.get(names[position] ?? '')?.push(name);
  };
  for (const instruction of instructions) {
    const { keyword, rest } = instruction;
    if (keyword === 'FROM') {
      needs.set(names[++position] ?? '', []);
      add(given(rest.split(blanks, 1)[0] ?? ''));
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
  // A set is walked to its end, also to what is added on the way.
  for (const name of reached) for (const other of needs.get(name) ?? []) reached.add(other);
  return reached;
}
