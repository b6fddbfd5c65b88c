/** How the work of a function grows with its input, for tests that must hold on a busy machine. */

/** How many times as much CPU time of this thread the large input needs as the small one. */
export function growthOf<Input>(work: (input: Input) => unknown, small: Input, large: Input): number {
  work(small);
  const timeOf = (input: Input) =>
    Math.min(
      cpuTime(() => work(input)),
      cpuTime(() => work(input)),
    );
  return timeOf(large) / timeOf(small);
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
