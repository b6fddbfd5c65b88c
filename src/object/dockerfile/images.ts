/**
 * Finds the images that a Dockerfile names: FROM, COPY --from, RUN --mount=from=. `scratch` and stages are not images.
 *
 * An image counts if any of the build tools would pull it. `lines.ts` has how the tools read the text, `variables.ts` how they expand
 * variables, and `stages.ts` how they recognize stages. `test/oracle/dockerfile` compares the result with the tools. A word that cannot be
 * expanded is returned as it is written, with a dollar sign, which no image name has.
 *
 * `# syntax=` names an image too. Only BuildKit pulls it, and OpenShift's builds do not use BuildKit.
 */

import { RecentValues } from '../../cache/recent-values.ts';
import type { WorkCounter } from '../work-counter.ts';
import { Budget } from './budget.ts';
import { blanks, type Instruction, type Reading, readInstructions, triggerOf } from './lines.ts';
import { csvFieldsOfMount, fieldsOfMount } from './names.ts';
import { canBeStage, isNumber, type StageConfusion, Stages } from './stages.ts';
import { type BuildArgs, buildArgExpander, HeadVariables, StageVariables, type StageVersion, stageVersions } from './variables.ts';
import { type Expansion, isLiteral, unseenCharacter } from './word.ts';

export type { BuildArgs } from './variables.ts';

/** `image` is undefined where it cannot be determined: its name depends on a value that is kept elsewhere, or is empty. */
export type DockerfileImage = {
  readonly instruction: 'FROM' | 'COPY --from' | 'RUN --mount';
  /** 1-based. */
  readonly line: number;
  readonly written: string;
  readonly image: string | undefined;
  /** Set where only the tag or digest depends on a value that is kept elsewhere. `image` is without it. */
  readonly openTag?: true;
  /** Whether the last stage starts from it: `strategy.from` of a BuildConfig replaces that image. */
  readonly lastFrom: boolean;
  /** Whether `source.images[].as` of a BuildConfig can replace it: only a name that is written literally, and that no stage has. */
  readonly replaceable?: true;
  /** Set where a stage of this Dockerfile has the same name or number. */
  readonly stage?: StageConfusion;
};

export type DockerfileContext = BuildArgs & {
  /** Whether another stage follows that starts from the last one: OpenShift's builder adds it for `spec.postCommit`. */
  readonly continued?: boolean;
};

/** The Dockerfile would cost too much to read. `why` is a predicate, to follow the field's path. */
export type TooCostly = { readonly kind: 'too-costly'; readonly why: string };

/** Images in the order of their lines. */
export function readDockerfileImages(text: string, context: DockerfileContext, work?: WorkCounter): DockerfileResult {
  // Counted work must not depend on what was read before.
  if (work) return readUncached(text, context, work);
  const key = keyOf(text, context);
  const known = recent.get(key);
  if (known) return known;
  const result = readUncached(text, context);
  recent.set(key, result);
  return result;
}

type DockerfileResult = DockerfileImage[] | TooCostly;

/** Reading costs more than the rest of a request. Both webhooks read a Dockerfile, and every update and build of a BuildConfig has it again. */
const recent = new RecentValues<DockerfileResult>({ entries: 200, size: 524_288, largest: 65_536, sizeOf: sizeOfResult });

/** In bytes, roughly. Short lines can name many images. */
function sizeOfResult(key: string, result: DockerfileResult): number {
  return 2 * key.length + 256 * ('why' in result ? 1 : result.length);
}

/** Different for different inputs: JSON shows where the variables end, and the text follows. */
function keyOf(text: string, { args, env, continued = false, mayGrow }: DockerfileContext): string {
  return `${continued} ${mayGrow} ${JSON.stringify([[...args], [...(env ?? [])]])}${text}`;
}

/** What {@link readDockerfileImages} remembers. */
export function readUncached(text: string, context: DockerfileContext, work?: WorkCounter): DockerfileResult {
  const budget = new Budget(work);
  const found = new FoundImages(budget);
  const byBuildArgs = buildArgExpander(context, budget);
  for (const reading of readInstructions(text)) {
    const stages = new Stages(reading.instructions, (word) => textOf(byBuildArgs.expand(word)));
    for (const version of versionsFor(reading, context)) {
      new Evaluation(reading, context, version, stages.restart(), budget, found).run();
      if (budget.exceeded !== undefined) return { kind: 'too-costly', why: budget.exceeded };
    }
  }
  return found.all();
}

/** Versions differ only in the values of variables, so without variables one is enough. */
function versionsFor({ instructions }: Reading, { env }: DockerfileContext): readonly StageVersion[] {
  const variables =
    (env?.size ?? 0) > 0 || instructions.some(({ keyword }) => keyword === 'ARG' || keyword === 'ENV' || keyword === 'ONBUILD');
  return variables ? stageVersions : stageVersions.slice(0, 1);
}

class FoundImages {
  private readonly images = new Map<string, DockerfileImage>();
  private readonly budget: Budget;

  constructor(budget: Budget) {
    this.budget = budget;
  }

  add(image: DockerfileImage): void {
    const key = `${image.line} ${image.instruction} ${image.image === undefined ? '-' : `=${image.image}`} ${image.written}`;
    const before = this.images.get(key);
    // An image that some tool does not use in the last stage is not replaced by that tool.
    const lastFrom = image.lastFrom && (before?.lastFrom ?? true);
    const { replaceable, ...rest } = image;
    const stage = image.stage ?? before?.stage;
    this.images.set(key, {
      ...rest,
      lastFrom,
      ...(stage && { stage }),
      ...(replaceable && (before?.replaceable ?? true) && { replaceable }),
    });
    this.budget.images(this.images.size);
  }

  all(): DockerfileImage[] {
    return [...this.images.values()].sort((left, right) => left.line - right.line);
  }
}

type Stage = {
  readonly variables: StageVariables;
  /** Instructions that ONBUILD keeps for the stages that start from this one. */
  readonly triggers: Instruction[];
};

/** The part of an instruction that names an image. */
type Mention = Pick<DockerfileImage, 'instruction' | 'line' | 'written'> & {
  /** Whether it is in an ONBUILD that runs in the build of another Dockerfile, with the stages of that one. */
  readonly later: boolean;
  /** Whether it is in an ONBUILD that a stage runs. */
  readonly triggered: boolean;
};

/** Follows one reading of the text for one version of the tools, from the first instruction to the last. */
class Evaluation {
  private readonly instructions: readonly Instruction[];
  private readonly context: DockerfileContext;
  private readonly version: StageVersion;
  private readonly escapeCharacter: string;
  private readonly budget: Budget;
  private readonly found: FoundImages;
  private readonly heads: readonly [HeadVariables, HeadVariables];
  private readonly stages: Stages;
  private readonly built: Stage[] = [];
  private readonly lastFrom: Instruction | undefined;

  constructor(reading: Reading, context: DockerfileContext, version: StageVersion, stages: Stages, budget: Budget, found: FoundImages) {
    this.instructions = reading.instructions;
    this.context = context;
    this.version = version;
    this.escapeCharacter = reading.escapeCharacter;
    this.budget = budget;
    this.found = found;
    this.heads = [
      new HeadVariables(context, 'imagebuilder', reading.escapeCharacter, budget),
      new HeadVariables(context, 'buildkit', reading.escapeCharacter, budget),
    ];
    this.stages = stages;
    this.lastFrom = reading.instructions.findLast(({ keyword }) => keyword === 'FROM');
  }

  run(): void {
    for (const instruction of this.instructions) {
      this.carryOut(instruction, false);
      if (this.budget.exceeded !== undefined) return;
    }
    const last = this.built.at(-1);
    if (this.context.continued && last) {
      this.stages.next((name) => textOf(this.heads[0].expandStageName(name)));
      this.begin(last);
    }
  }

  private get stage(): Stage | undefined {
    return this.built.at(-1);
  }

  private carryOut(instruction: Instruction, triggered: boolean): void {
    const { keyword, rest } = instruction;
    switch (keyword) {
      case 'ARG':
        if (this.stage) this.stage.variables.declare(rest);
        else for (const head of this.heads) head.declare(rest);
        return;
      case 'ENV':
        this.stage?.variables.set(rest);
        return;
      case 'FROM':
        this.carryOutFrom(instruction);
        return;
      case 'ONBUILD':
        this.keepTrigger(instruction);
        return;
      default:
        this.readNames(instruction, { later: false, triggered });
    }
  }

  private carryOutFrom(instruction: Instruction): void {
    this.stages.next((name) => textOf(this.heads[0].expandStageName(name)));
    const [written = ''] = instruction.rest.split(blanks, 1);
    let base: Stage | undefined;
    if (written !== '') {
      const { line } = instruction;
      const mention: Mention = { instruction: 'FROM', line, written, later: false, triggered: false };
      const expansions = this.heads.map((head) => head.expand(written));
      // A tool for which the name expands to nothing fails. The others continue.
      const some = expansions.filter((expansion) => textOf(expansion) !== '' || expansion.kind === 'unreadable');
      for (const expansion of some.length > 0 ? some : expansions.slice(0, 1)) {
        this.addMention(mention, expansion, instruction === this.lastFrom);
        if (expansion.kind === 'text') base ??= this.built[this.stages.positionOf(expansion.text) ?? -1];
      }
    }
    this.begin(base);
  }

  private begin(base: Stage | undefined): void {
    const [head] = this.heads;
    this.built.push({
      variables: new StageVariables(head, this.version, this.escapeCharacter, this.budget, base?.variables),
      triggers: [],
    });
    for (const trigger of base?.triggers ?? []) {
      this.budget.spend(16 + trigger.rest.length);
      if (this.budget.exceeded !== undefined) return;
      this.carryOut(trigger, true);
    }
  }

  private keepTrigger(instruction: Instruction): void {
    const trigger = triggerOf(instruction);
    if (!trigger || trigger.keyword === 'ONBUILD' || trigger.keyword === 'FROM') return;
    this.stage?.triggers.push(trigger);
    this.readNames(trigger, { later: true, triggered: true });
  }

  private readNames(instruction: Instruction, when: Pick<Mention, 'later' | 'triggered'>): void {
    if (instruction.keyword === 'COPY') for (const flag of instruction.flags) this.readCopyFlag(flag, { line: instruction.line, ...when });
    if (instruction.keyword === 'RUN') for (const flag of instruction.flags) this.readRunFlag(flag, { line: instruction.line, ...when });
  }

  /**
   * The tools read a flag with `--from` in different ways:
   * - buildah expands the text after the only `=` by ARG alone;
   * - imagebuilder expands the flag as a whole, and buildah expands the result again;
   * - OpenShift's builder knows only the ARGs before the first FROM;
   * - BuildKit uses the text as it is written.
   */
  private readCopyFlag(flag: string, when: Pick<Mention, 'line' | 'later' | 'triggered'>): void {
    const from = flag.startsWith('--from=') ? flag.slice('--from='.length) : undefined;
    if (from === undefined && isLiteral(flag) && !flag.includes('--from')) return;
    const mention: Mention = { instruction: 'COPY --from', written: from ?? flag, ...when };
    const parts = flag.split('=');
    if (flag.includes('--from') && parts.length === 2) this.addMention(mention, this.byArgs(parts[1] ?? ''));
    const whole = this.expand(flag);
    if (whole.kind === 'unreadable') {
      if (mayBecome(flag, '--from=')) this.addMention(mention, whole);
    } else if (whole.text.startsWith('--from=')) this.addMention(mention, this.expandAgain(whole.text.slice('--from='.length)));
    if (from === undefined) return;
    this.addMention(mention, this.heads[0].expand(from));
    if (isLiteral(from)) this.addMention(mention, { kind: 'text', text: from });
  }

  /** imagebuilder expands the whole flag, so a variable may contain the commas too. buildah then expands the text after `from=` again. */
  private readRunFlag(flag: string, when: Pick<Mention, 'line' | 'later' | 'triggered'>): void {
    const mount = flag.startsWith('--mount=') ? flag.slice('--mount='.length) : undefined;
    if (mount === undefined && isLiteral(flag)) return;
    const mention = (written: string): Mention => ({ instruction: 'RUN --mount', written, ...when });
    const [written] = mount === undefined ? [] : csvFieldsOfMount(mount);
    const whole = this.expand(flag);
    if (whole.kind === 'unreadable') {
      if (mayBecome(flag, '--mount=')) this.addMention(mention(flag), whole);
    } else if (whole.text.startsWith('--mount=')) {
      const expanded = whole.text.slice('--mount='.length);
      const names = [...fieldsOfMount(expanded), ...csvFieldsOfMount(expanded)];
      for (const name of new Set(names)) {
        const image = this.expandAgain(name);
        // A literal name in the same flag must not be shown for a word that cannot be expanded.
        this.addMention(mention(image.kind === 'unreadable' ? flag : (written ?? flag)), image);
      }
    }
    if (mount !== undefined)
      for (const name of csvFieldsOfMount(mount)) if (isLiteral(name)) this.addMention(mention(name), { kind: 'text', text: name });
  }

  private expand(word: string): Expansion {
    return this.stage?.variables.expand(word) ?? this.heads[0].expand(word);
  }

  private byArgs(word: string): Expansion {
    return this.stage?.variables.expandByArgs(word) ?? this.heads[0].expand(word);
  }

  /** For the result of an expansion, which may already contain unseen values. */
  private expandAgain(word: string): Expansion {
    const expansion = this.byArgs(word);
    return expansion.kind === 'text' && expansion.text.includes(unseenCharacter) ? { kind: 'unseen', text: expansion.text } : expansion;
  }

  private addMention(mention: Mention, expansion: Expansion, lastFrom = false): void {
    const image = this.imageOf(mention, expansion);
    if (image === 'none') return;
    const { instruction, line, written, triggered } = mention;
    const { text, openTag } = image;
    const byName = text === written && !triggered && expansion.kind !== 'unreadable';
    const replaceable = byName && (instruction === 'FROM' || (instruction === 'COPY --from' && !this.stages.knows(written)));
    const stage =
      expansion.kind === 'text' && !mention.later ? this.stages.confusionWith(expansion.text, instruction === 'COPY --from') : undefined;
    this.found.add({
      instruction,
      line,
      written,
      image: text,
      ...(openTag && { openTag }),
      lastFrom,
      ...(replaceable && { replaceable }),
      ...(stage && { stage }),
    });
  }

  /** `text` is undefined where the image cannot be determined. */
  private imageOf({ instruction, written, later }: Mention, expansion: Expansion): 'none' | ReadImage {
    // No image name has a dollar sign, so such a name is always denied.
    if (expansion.kind === 'unreadable') return { text: written.includes('$') ? written : `$${written}` };
    if (expansion.kind === 'unseen') return withoutOpenTag(expansion.text);
    const { text } = expansion;
    if (text === '') return instruction === 'FROM' ? { text: undefined } : 'none';
    if (text === 'scratch') return 'none';
    // A name that may be a stage of the build that runs the ONBUILD is left to that build.
    if (later) return canBeStage(text) ? 'none' : { text };
    // Only for COPY is a number always a stage. For FROM, and for RUN in BuildKit, it is a name.
    if (instruction === 'COPY --from' && isNumber(text)) {
      const name = this.stages.imageOfNumber(text);
      if (name === undefined) return 'none';
      // Newer versions of imagebuilder also expand the name of a stage.
      const expansion = this.heads[0].expandStageName(name);
      return textOf(expansion) === 'scratch' ? 'none' : { text: textOf(expansion) || name };
    }
    return this.stages.isImage(text) ? { text } : 'none';
  }
}

type ReadImage = { readonly text: string | undefined; readonly openTag?: true };

/**
 * The name before a tag or digest with an unseen value, which decides alone. A value with a slash could turn the tag into the port of a
 * registry. But who can set such a value can also set all of the name, and an image with an unseen name is allowed.
 */
function withoutOpenTag(text: string): ReadImage {
  const [known = ''] = text.split(unseenCharacter, 1);
  const end = known.slice(known.lastIndexOf('/') + 1).search(/[:@]/);
  if (end < 0 || text.lastIndexOf('/') >= known.length) return { text: undefined };
  return { text: known.slice(0, known.lastIndexOf('/') + 1 + end), openTag: true };
}

/** Whether a flag that cannot be expanded here could begin with the prefix after some tool has expanded it. */
function mayBecome(flag: string, prefix: string): boolean {
  const literal = flag.slice(0, flag.search(/[$"'\\`]/));
  return prefix.startsWith(literal) || literal.startsWith(prefix);
}

function textOf(expansion: Expansion): string {
  return expansion.kind === 'unreadable' ? '' : expansion.text;
}
