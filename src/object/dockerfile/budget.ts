/** What one inline Dockerfile may cost. Beyond it the object is refused with the reason, before the work is done. */
import { formatCount } from '../text.ts';
import type { WorkCounter } from '../work.ts';

/**
 * Places that name an image, in all readings together. Each is evaluated, shown to the author and recorded by itself; a real Dockerfile has
 * a dozen.
 */
export const maxImages = 500;

/**
 * Characters of words with variables, quotes or escapes that are expanded, of all readings together. A Dockerfile of the longest size without
 * such words needs none, and 1,000 lines of 80 characters that use them need a fifth of it. About 0.1 s.
 */
export const maxExpanded = 1_048_576;

export class Budget {
  /** Why the Dockerfile is refused; undefined while it may go on. A predicate, to read on behind the field's path. */
  exceeded: string | undefined;
  private expanded = 0;
  private readonly work: WorkCounter | undefined;

  constructor(work: WorkCounter | undefined) {
    this.work = work;
  }

  /** Before or after the work is done; one word more or less does not matter. */
  spend(characters: number): void {
    this.expanded += characters;
    this.work?.count('expanded', characters);
    if (this.expanded > maxExpanded)
      this.exceeded ??= `expands ARG and ENV to more than ${formatCount(maxExpanded)} characters; write the images without variables, or split the build into several BuildConfigs`;
  }

  images(count: number): void {
    if (count > maxImages)
      this.exceeded ??= `names images in more than ${maxImages} places; copy from one stage instead of repeating the image, or split the build into several BuildConfigs`;
  }
}
