/** Logs the lint findings of the cluster's rules, each once. Findings that have not changed are not logged again. */
import type { ImmediateComponent } from '../contracts/component.ts';
import type { Log } from '../contracts/log.ts';
import { type Problem, renderOrigin } from '../rules/language/problem.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import { clusterDocumentChanges, type RulesInForce } from '../rules/store/rules-in-force.ts';

export type LintReporterOptions = {
  readonly rules: Pick<RulesInForce, 'written' | 'onChange'>;
  readonly lint: (rules: RuleSet) => readonly Problem[];
  readonly log: Pick<Log, 'warn'>;
};

export function createLintReporter({ rules, lint, log }: LintReporterOptions): ImmediateComponent {
  let logged = new Set<string>();
  let unsubscribe = () => {};

  function reportNewFindings(written: RuleSet): void {
    const lines = lint(written).map(({ code, origin, message }) => ({ code, origin, text: `${renderOrigin(origin)}: ${message}` }));
    for (const { code, origin, text } of lines) if (!logged.has(text)) log.warn({ code, ...origin }, text);
    logged = new Set(lines.map(({ text }) => text));
  }

  return {
    name: 'lint reporter',
    start() {
      unsubscribe = rules.onChange((event) => {
        const written = rules.written();
        // Changes of namespaces' rules are ignored: a tenant may make them at any rate.
        const accepted = clusterDocumentChanges(event).some(({ problems }) => problems.length === 0);
        if (written && accepted) reportNewFindings(written);
      });
    },
    stop: () => unsubscribe(),
  };
}
