/** A queue for work that would need too much memory if several pieces ran at once. */

export type OneAtATime = {
  /**
   * Calls `start` now or later, with a function that ends the turn.
   *
   * @returns a function that leaves the queue, without effect after the start
   */
  enter(start: (end: () => void) => void): () => void;
};

/** Between two turns `pause` gives the event loop time for short work. */
export function createOneAtATime(pause: (then: () => void) => void = setImmediate): OneAtATime {
  const waiting = new Set<(end: () => void) => void>();
  let busy = false;

  function next(): void {
    const [first] = waiting;
    busy = first !== undefined;
    if (!first) return;
    waiting.delete(first);
    run(first);
  }

  function run(start: (end: () => void) => void): void {
    let ended = false;
    start(() => {
      if (ended) return;
      ended = true;
      pause(next);
    });
  }

  return {
    enter(start) {
      if (busy) waiting.add(start);
      else {
        busy = true;
        run(start);
      }
      return () => void waiting.delete(start);
    },
  };
}
