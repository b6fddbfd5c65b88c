/** One at a time: work that would take too much memory at once waits in line. */

export type OneAtATime = {
  /** Calls `start` now or later, with a function that ends the turn. @returns a function that leaves the line, without effect once started */
  enter(start: (end: () => void) => void): () => void;
};

/** Between two turns `pause` lets the event loop do what is short. */
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
