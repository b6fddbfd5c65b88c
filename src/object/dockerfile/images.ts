/**
 * The images a Dockerfile names: FROM, COPY --from, RUN --mount=from=. `scratch`, names and numbers of stages are none. What any of the
 * tools would pull counts, see dockerfile-lines.ts for how they read the text, dockerfile-variables.ts for their variables and
 * dockerfile-stages.ts for their stages; test/oracle/dockerfile compares with the tools. A word that cannot be followed is given as it is
 * written, with the dollar sign that no image name has.
 *
 * `# syntax=` names an image too, which BuildKit alone pulls; no build of OpenShift's does.
 */

import type { WorkCounter } from '../work.ts';
import { Budget } from './budget.ts';
import { blanks, type Instruction, type Reading, readInstructions, triggerOf } from './lines.ts';
import { csvFieldsOfMount, fieldsOfMount } from './names.ts';
import { canBeStage, isNumber, type StageConfusion, Stages } from './stages.ts';
import { type BuildArgs, givenExpander, HeadVariables, StageVariables, type StageVersion, stageVersions } from './variables.ts';
import { type Expansion, isLiteral, unseenMark } from './word.ts';

export type { BuildArgs } from './variables.ts';

/** `image` is undefined where nothing can be said: its value is kept elsewhere, or empty. */
export type DockerfileImage = {
  readonly instruction: 'FROM' | 'COPY --from' | 'RUN --mount';
  /** 1-based. */
  readonly line: number;
  readonly written: string;
  readonly image: string | undefined;
  /** Whether it starts the last stage, the one `strategy.from` of a BuildConfig stands in for. */
  readonly lastFrom: boolean;
  /** Whether `source.images[].as` of a BuildConfig can put another image in its place: where the very name is written, and no stage has it. */
  readonly replaceable?: true;
  /** Where the image is called like a stage of this Dockerfile. */
  readonly stage?: StageConfusion;
};

export type DockerfileContext = BuildArgs & {
  /** Whether another stage follows that begins with the last one: OpenShift's builder adds it for `spec.postCommit`. */
  readonly continued?: boolean;
};

/** It would cost too much to read. `why` is a predicate, to read on behind the field's path. */
export type TooCostly = { readonly kind: 'too-costly'; readonly why: string };

/** In the order they stand. */
export function readDockerfileImages(text: string, context: DockerfileContext, work?: WorkCounter): DockerfileImage[] | TooCostly {
  const budget = new Budget(work);
  const found = new Found(budget);
  const given = givenExpander(context, budget);
  for (const reading of readInstructions(text)) {
    const stages = new Stages(reading.instructions, (word) => textOf(given.expand(word)));
    for (const version of versionsFor(reading, context)) {
      new Evaluation(reading, context, version, stages.restart(), budget, found).run();
      if (budget.exceeded !== undefined) return { kind: 'too-costly', why: budget.exceeded };
    }
  }
  return found.all();
}

/** They differ only in what variables stand for. */
function versionsFor({ instructions }: Reading, { env }: DockerfileContext): readonly StageVersion[] {
  const variables =
    (env?.size ?? 0) > 0 || instructions.some(({ keyword }) => keyword === 'ARG' || keyword === 'ENV' || keyword === 'ONBUILD');
  return variables ? stageVersions : stageVersions.slice(0, 1);
}

class Found {
  private readonly images = new Map<string, DockerfileImage>();
  private readonly budget: Budget;

  constructor(budget: Budget) {
    this.budget = budget;
  }

  add(image: DockerfileImage): void {
    const key = `${image.line} ${image.instruction} ${image.image === undefined ? '-' : `=${image.image}`} ${image.written}`;
    const before = this.images.get(key);
    // One that is not the last for every tool is not replaced for every tool.
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
  /** What ONBUILD keeps for the stages that begin with this one. */
  readonly triggers: Instruction[];
};

/** A place of an instruction that names an image. */
type Place = Pick<DockerfileImage, 'instruction' | 'line' | 'written'> & {
  /** ONBUILD: carried out in the build of another Dockerfile, with that one's stages. */
  readonly later: boolean;
  /** Whether it is an ONBUILD that a stage carries out. */
  readonly triggered: boolean;
};

/** One way to read the text and one version of the tools, from the first instruction to the last. */
class Evaluation {
  private readonly instructions: readonly Instruction[];
  private readonly context: DockerfileContext;
  private readonly version: StageVersion;
  private readonly escapeCharacter: string;
  private readonly budget: Budget;
  private readonly found: Found;
  private readonly heads: readonly [HeadVariables, HeadVariables];
  private readonly stages: Stages;
  private readonly built: Stage[] = [];
  private readonly lastFrom: Instruction | undefined;

  constructor(reading: Reading, context: DockerfileContext, version: StageVersion, stages: Stages, budget: Budget, found: Found) {
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
      const place: Place = { instruction: 'FROM', line, written, later: false, triggered: false };
      const expansions = this.heads.map((head) => head.expand(written));
      // A tool for which nothing is left refuses it; the others go on.
      const some = expansions.filter((expansion) => textOf(expansion) !== '' || expansion.kind === 'unreadable');
      for (const expansion of some.length > 0 ? some : expansions.slice(0, 1)) {
        this.name(place, expansion, instruction === this.lastFrom);
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

  private readNames(instruction: Instruction, when: Pick<Place, 'later' | 'triggered'>): void {
    if (instruction.keyword === 'COPY') for (const flag of instruction.flags) this.readCopyFlag(flag, { line: instruction.line, ...when });
    if (instruction.keyword === 'RUN') for (const flag of instruction.flags) this.readRunFlag(flag, { line: instruction.line, ...when });
  }

  /**
   * buildah looks up what stands behind the only `=` of a flag with `--from` in it, by ARG alone; imagebuilder expands the flag as a whole,
   * and buildah what comes of it once more; OpenShift's builder knows the ARGs of the head alone; BuildKit takes what is written.
   */
  private readCopyFlag(flag: string, when: Pick<Place, 'line' | 'later' | 'triggered'>): void {
    const from = flag.startsWith('--from=') ? flag.slice('--from='.length) : undefined;
    if (from === undefined && isLiteral(flag) && !flag.includes('--from')) return;
    const place: Place = { instruction: 'COPY --from', written: from ?? flag, ...when };
    const parts = flag.split('=');
    if (flag.includes('--from') && parts.length === 2) this.name(place, this.byArgs(parts[1] ?? ''));
    const whole = this.expand(flag);
    if (whole.kind === 'unreadable') {
      if (mayBecome(flag, '--from=')) this.name(place, whole);
    } else if (whole.text.startsWith('--from=')) this.name(place, this.again(whole.text.slice('--from='.length)));
    if (from === undefined) return;
    this.name(place, this.heads[0].expand(from));
    if (isLiteral(from)) this.name(place, { kind: 'text', text: from });
  }

  /** imagebuilder expands the flag as a whole, so a variable may hold the commas too, and buildah expands what stands behind `from=` again. */
  private readRunFlag(flag: string, when: Pick<Place, 'line' | 'later' | 'triggered'>): void {
    const mount = flag.startsWith('--mount=') ? flag.slice('--mount='.length) : undefined;
    if (mount === undefined && isLiteral(flag)) return;
    const place = (written: string): Place => ({ instruction: 'RUN --mount', written, ...when });
    const [written] = mount === undefined ? [] : csvFieldsOfMount(mount);
    const whole = this.expand(flag);
    if (whole.kind === 'unreadable') {
      if (mayBecome(flag, '--mount=')) this.name(place(flag), whole);
    } else if (whole.text.startsWith('--mount=')) {
      const expanded = whole.text.slice('--mount='.length);
      const names = [...fieldsOfMount(expanded), ...csvFieldsOfMount(expanded)];
      for (const name of new Set(names)) {
        const image = this.again(name);
        // A literal name that stands beside it must not answer for what cannot be followed.
        this.name(place(image.kind === 'unreadable' ? flag : (written ?? flag)), image);
      }
    }
    if (mount !== undefined)
      for (const name of csvFieldsOfMount(mount)) if (isLiteral(name)) this.name(place(name), { kind: 'text', text: name });
  }

  private expand(word: string): Expansion {
    return this.stage?.variables.expand(word) ?? this.heads[0].expand(word);
  }

  private byArgs(word: string): Expansion {
    return this.stage?.variables.expandByArgs(word) ?? this.heads[0].expand(word);
  }

  /** What was expanded once already, and may hold what could not be seen. */
  private again(word: string): Expansion {
    const expansion = this.byArgs(word);
    return expansion.kind === 'text' && expansion.text.includes(unseenMark) ? { kind: 'unseen', text: expansion.text } : expansion;
  }

  private name(place: Place, expansion: Expansion, lastFrom = false): void {
    const image = this.imageOf(place, expansion);
    if (image === 'none') return;
    const { instruction, line, written, triggered } = place;
    const byName = image.text === written && !triggered && expansion.kind !== 'unreadable';
    const replaceable = byName && (instruction === 'FROM' || (instruction === 'COPY --from' && !this.stages.knows(written)));
    const stage =
      expansion.kind === 'text' && !place.later ? this.stages.confusionWith(expansion.text, instruction === 'COPY --from') : undefined;
    this.found.add({
      instruction,
      line,
      written,
      image: image.text,
      lastFrom,
      ...(replaceable && { replaceable }),
      ...(stage && { stage }),
    });
  }

  /** `text` is undefined where nothing can be said. */
  private imageOf({ instruction, written, later }: Place, expansion: Expansion): 'none' | { readonly text: string | undefined } {
    // No image has a name with a dollar sign in it, so it is denied.
    if (expansion.kind === 'unreadable') return { text: written.includes('$') ? written : `$${written}` };
    if (expansion.kind === 'unseen') return { text: undefined };
    const { text } = expansion;
    if (text === '') return instruction === 'FROM' ? { text: undefined } : 'none';
    if (text === 'scratch') return 'none';
    // What may be a stage in the build that carries it out is left to that build.
    if (later) return canBeStage(text) ? 'none' : { text };
    // Only COPY knows numbers for certain: for FROM, and for RUN in BuildKit, they are names.
    if (instruction === 'COPY --from' && isNumber(text)) {
      const name = this.stages.imageOfNumber(text);
      if (name === undefined) return 'none';
      // Newer versions of imagebuilder expand the name of a stage too.
      const expansion = this.heads[0].expandStageName(name);
      return textOf(expansion) === 'scratch' ? 'none' : { text: textOf(expansion) || name };
    }
    return this.stages.isImage(text) ? { text } : 'none';
  }
}

/** Whether a flag that cannot be expanded could begin with the prefix once some tool has expanded it. */
function mayBecome(flag: string, prefix: string): boolean {
  const literal = flag.slice(0, flag.search(/[$"'\\`]/));
  return prefix.startsWith(literal) || literal.startsWith(prefix);
}

function textOf(expansion: Expansion): string {
  return expansion.kind === 'unreadable' ? '' : expansion.text;
}
