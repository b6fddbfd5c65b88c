/** Limits on what one inline Dockerfile may cost to read. Beyond them the object is denied with the reason, before the work is done. */
import { formatCount } from '../../image/wording.ts';
import type { WorkCounter } from '../work-counter.ts';

/**
 * Mentions of an image, in all readings together. Each is evaluated, shown to the user and recorded separately. A real Dockerfile has a
 * dozen.
 */
export const maxImages = 500;

/**
 * Characters of expanded words, in all readings together. Only words with variables, quotes or escapes are expanded: a Dockerfile of the
 * largest size without them needs none, and 1,000 lines of 80 characters with them need a fifth of the limit. The limit is about 0.1 s.
 */
export const maxExpanded = 1_048_576;

export class Budget {
  /** Why the Dockerfile is rejected: a predicate, to follow the field's path. Undefined while the limits are kept. */
  exceeded: string | undefined;
  private expanded = 0;
  private readonly work: WorkCounter | undefined;

  constructor(work: WorkCounter | undefined) {
    this.work = work;
  }

  /** May be called before or after the work is done: one word more or less does not matter. */
  spend(characters: number): void {
    this.expanded += characters;
    this.work?.count('expanded', characters);
    if (this.expanded > maxExpanded)
      this.exceeded ??= `expands ARG and ENV to more than ${formatCount(maxExpanded)} characters. Remove the variables from image names, or split the build into several BuildConfigs`;
  }

  images(count: number): void {
    if (count > maxImages)
      this.exceeded ??= `references images in more than ${maxImages} places. Copy from one stage instead of repeating the image, or split the build into several BuildConfigs`;
  }
}
