/** Reports the state of the sources in the log, each time it changes: what is wrong with them, and what their copies give away. */
import type { Log } from '../../contracts/log.ts';
import { withoutPassword } from '../../credentials/registry-secret.ts';
import { createOmittedEntries } from '../../delivery/omitted-entries.ts';
import { selectEntries } from '../../delivery/select-entries.ts';
import type { SourceState, UsableSource } from '../../delivery/source.ts';
import { quote } from '../../image/problem.ts';
import type { DeliveredSecret, RuleSet } from '../../rules/rule-set.ts';

export type SourceReport = {
  /** Logs what has changed since the last call. */
  update(rules: RuleSet, sourceOf: (name: string) => SourceState | undefined): void;
};

type Line = { readonly level: 'info' | 'warn' | 'error'; readonly message: string };

/** Lines for one source, those about rules without an entry first. */
const maxLines = 10;

export function createSourceReport(log: Log): SourceReport {
  const reported = new Map<string, string>();
  /** The source and rules of the last report. A source with many entries is not compared again with the same rules. */
  const compared = new Map<string, { readonly source: SourceState; readonly rules: RuleSet }>();
  return {
    update(rules, sourceOf) {
      const names = new Set(rules.deliveredSecrets.map(({ name }) => name));
      for (const name of compared.keys()) {
        if (names.has(name)) continue;
        compared.delete(name);
        reported.delete(name);
      }
      for (const secret of rules.deliveredSecrets) {
        const source = sourceOf(secret.source);
        if (!source) continue;
        const last = compared.get(secret.name);
        if (last?.source === source && last.rules === rules) continue;
        compared.set(secret.name, { source, rules });
        const lines =
          source.state === 'unusable'
            ? [{ level: 'error', message: unusableMessage(source.message) } as const]
            : linesOf(rules, secret, source);
        const before = reported.get(secret.name) ?? '';
        const text = lines.map(({ message }) => message).join('\n');
        if (text === before) continue;
        reported.set(secret.name, text);
        for (const { level, message } of lines.slice(0, maxLines)) log[level]({ secret: secret.name, source: secret.source }, message);
        if (text === '') log.info({ secret: secret.name, source: secret.source }, `the source ${quote(secret.source)} is usable`);
      }
    },
  };
}

function unusableMessage(message: string): string {
  return `${message}. Existing copies are left unchanged`;
}

function linesOf({ rules }: RuleSet, { name, source: sourceName }: DeliveredSecret, source: UsableSource): readonly Line[] {
  const naming = rules.flatMap((rule) => {
    const [pull, push] = [rule.pullSecrets.includes(name), rule.pushSecret === name];
    return pull || push ? [{ name: rule.name, pattern: rule.pattern, pull, push }] : [];
  });
  const { rulesWithout, wider } = selectEntries(source.credentials, naming);
  const omittedFor = createOmittedEntries(source);
  const inSource = `the source ${quote(sourceName)}`;
  return [
    ...rulesWithout.map((rule): Line => {
      const [omitted] = omittedFor([rule]);
      const message = omitted
        ? `the entry ${quote(omitted.entry ?? '')} of ${inSource} matches rule ${quote(rule.name)}, but cannot be copied. Correct the entry`
        : `${inSource} has no entry for rule ${quote(rule.name)}. Add an entry for its registry`;
      return { level: 'warn', message };
    }),
    ...source.problems.map(
      ({ cause }): Line => ({ level: 'warn', message: `${inSource} has an entry that is not copied. ${cause} Correct the source` }),
    ),
    ...wider.map(({ key, rule }): Line => {
      const entry = quote(withoutPassword(key));
      return {
        level: 'info',
        message: `entry ${entry} of ${inSource} gives access to more images than rule ${quote(rule.name)} matches, but is copied for it`,
      };
    }),
  ];
}
