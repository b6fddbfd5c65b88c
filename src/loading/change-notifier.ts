/** Tells whoever waits for it that the rules have changed. */
export type ChangeNotifier = {
  tell(): void;
  /** Resolves at the next change, or after the time. */
  next(milliseconds: number): Promise<void>;
};

export function createChangeNotifier(): ChangeNotifier {
  const waiting = new Set<() => void>();
  return {
    tell() {
      for (const wake of [...waiting]) wake();
    },
    next: (milliseconds) =>
      new Promise((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          waiting.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, milliseconds).unref();
        waiting.add(wake);
      }),
  };
}
