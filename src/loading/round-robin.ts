/** Schedules work of many namespaces on one thread in turn, so that each namespace delays the others by one piece of work at most. */

export type RoundRobin = {
  /** Work of one name runs in its order. With several names, one piece of each runs in turn. Resolves or rejects as the work does. */
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

  /** A name with more work goes to the end. */
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
