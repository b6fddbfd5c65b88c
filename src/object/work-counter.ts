/**
 * Counts the work of evaluating an object, for tests that assert how the work grows. Production code passes no counter: an optional call on
 * `undefined` costs nothing.
 */
export type WorkCounter = {
  /**
   * - `expanded`: characters of Dockerfile words that were expanded or copied;
   * - `images`: image names that were parsed;
   * - `compared`: list entries that were compared.
   */
  count(what: 'expanded' | 'images' | 'compared', amount: number): void;
};
