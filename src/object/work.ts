/**
 * Counts what an object costs to evaluate, for tests that assert how the work grows. Nobody passes one in production: an optional call on
 * `undefined` costs nothing.
 */
export type WorkCounter = {
  /**
   * - `expanded`: characters of words of a Dockerfile that were expanded or copied;
   * - `images`: image names that were parsed;
   * - `compared`: entries of a list that were compared with something.
   */
  count(what: 'expanded' | 'images' | 'compared', amount: number): void;
};
