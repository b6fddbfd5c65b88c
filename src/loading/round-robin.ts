/** Work of many namespaces for one thread, in turn: what one of them has waiting delays the others by one piece at most. */

export type RoundRobin = {
  /** Pieces of one name are done in their order; of several names, one piece of each in turn. Resolves and rejects with the work. */
  run<T>(name: string, work: () => Promise<T>): Promise<T>;
};

export function createRoundRobin(): RoundRobin {
  const waiting = new Map<string, (() => Promise<void>)[]>();
  let running = false;

  async function runAll(): Promise<void> {
    running = true;
    for (let next = takeNext(); next; next = takeNext()) await next();
    running = false;
  }

  /** A name that has more goes to the end. */
  function takeNext(): (() => Promise<void>) | undefined {
    for (const [name, works] of waiting) {
      const work = works.shift();
      waiting.delete(name);
      if (works.length > 0) waiting.set(name, works);
      return work;
    }
    return undefined;
  }

  return {
    run: (name, work) =>
      new Promise((resolve, reject) => {
        const works = waiting.get(name) ?? [];
        works.push(() => work().then(resolve, reject));
        waiting.set(name, works);
        if (!running) void runAll();
      }),
  };
}
