/** How the work of a function grows with its input, for tests that must hold on a busy machine. */

/** How many times as much CPU time of this thread the large input needs as the small one. Both take turns, and the least time counts. */
export function growthOf<Input>(work: (input: Input) => unknown, small: Input, large: Input): number {
  work(small);
  const times = [1, 2, 3].map(() => ({ small: cpuTime(() => work(small)), large: cpuTime(() => work(large)) }));
  return Math.min(...times.map((time) => time.large)) / Math.min(...times.map((time) => time.small));
}

/** In milliseconds. The clock may advance in steps of 10 ms, so the work is repeated for 50 ms. */
function cpuTime(work: () => unknown): number {
  const before = process.threadCpuUsage();
  for (let repetitions = 1; ; repetitions += 1) {
    work();
    const { user, system } = process.threadCpuUsage(before);
    const milliseconds = (user + system) / 1_000;
    if (milliseconds >= 50) return milliseconds / repetitions;
  }
}
