/** Applies changes of namespaces' rules to the store one after the other, those of several namespaces at once, with a pause after each. */
import { maxProblems } from '../rules/language/parse.ts';
import { firstProblems } from '../rules/language/problem.ts';
import type { RuleStore, RulesChange, RulesStep } from '../rules/store/rule-store.ts';
import { type Clock, sleep } from '../time/clock.ts';
import { findWideningInSteps } from './read-bundle.ts';

export type ApplyQueue = {
  /** Resolves when the steps are applied and reported. */
  apply(steps: readonly RulesStep[]): Promise<void>;
  /** Drops all steps. Nothing reaches the store or is reported from now on. */
  close(): void;
};

export type ApplyQueueOptions = {
  readonly store: RuleStore;
  readonly onChange: (changes: readonly RulesChange[]) => void;
  readonly clock: Clock;
  /** After each change, how many times as long as it took the next one waits. */
  readonly pauseFactor: number;
};

/** Namespaces whose changes are applied together, so that the rules in force are compiled once for all of them. */
const maxNamespacesPerChange = 50;

export function createApplyQueue({ store, onChange, clock, pauseFactor }: ApplyQueueOptions): ApplyQueue {
  let ready: { steps: readonly RulesStep[]; done: PromiseWithResolvers<void> }[] = [];
  let applying = false;
  let closed = false;

  async function applyAll(): Promise<void> {
    applying = true;
    while (ready.length > 0) {
      const together = ready.slice(0, maxNamespacesPerChange);
      ready = ready.slice(maxNamespacesPerChange);
      const started = clock.monotonic();
      try {
        if (!closed)
          onChange(
            await changeStore(
              store,
              together.flatMap(({ steps }) => steps),
            ),
          );
        for (const { done } of together) done.resolve();
      } catch (error) {
        for (const { done } of together) done.reject(error);
      }
      await sleep(clock, pauseFactor * (clock.monotonic() - started));
    }
    applying = false;
  }

  return {
    apply(steps) {
      const done = Promise.withResolvers<void>();
      ready.push({ steps, done });
      if (!applying) void applyAll();
      return done.promise;
    },
    close() {
      closed = true;
    },
  };
}

async function changeStore(store: RuleStore, steps: readonly RulesStep[]): Promise<readonly RulesChange[]> {
  const offered = new Map(steps.flatMap((step) => ('offer' in step ? [[step.offer.bundle.id, step.offer] as const] : [])));
  const changes: RulesChange[] = [];
  for (const change of store.change(steps)) {
    const read = change.problems.length === 0 ? offered.get(change.id) : undefined;
    const ineffective = read ? await findWideningInSteps(read, store) : [];
    changes.push(
      ineffective.length > 0 ? { ...change, warnings: firstProblems([...change.warnings, ...ineffective], maxProblems.namespace) } : change,
    );
  }
  return changes;
}
