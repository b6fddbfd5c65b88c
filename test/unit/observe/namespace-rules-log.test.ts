/** The rate limit for log lines about the rules of namespaces. */
import { expect, test } from 'vitest';
import { createNamespaceRulesLog, type LoggedChange, mergeChanges } from '../../../src/observe/namespace-rules-log.ts';
import type { Problem } from '../../../src/rules/language/problem.ts';

const source = { kind: 'configMap', namespace: 'team', name: 'own', key: 'a.yaml' } as const;
const problem = (message: string): Problem => ({ code: 'unknown-field', message, origin: { source, line: 1, column: 1 } });

function change(namespace: string, problems: readonly Problem[], warnings: readonly Problem[] = []): LoggedChange {
  return { scope: { kind: 'namespace', namespace }, before: undefined, after: undefined, problems, warnings };
}

function logging() {
  const lines: [fields: object, message: string][] = [];
  let now = 0;
  const take = (fields: object, message: string) => void lines.push([fields, message]);
  const log = createNamespaceRulesLog({ info: take, warn: take }, () => now);
  return {
    lines,
    write: (seconds: number, ...changes: readonly LoggedChange[]) => {
      now = seconds * 1_000;
      log.write(changes);
    },
  };
}

test('fifty rejected changes per second cause one line every ten seconds, with the number of omitted ones', () => {
  const { lines, write } = logging();
  for (let turn = 0; turn < 3_000; turn += 1) write(turn / 50, change('team', [problem('one'), problem('two')]));
  expect(lines).toHaveLength(6);
  expect(lines[0]?.[1]).toBe(
    'rules in namespace team rejected: ConfigMap team/own, key a.yaml, line 1:1: one (and 1 more). The last valid version, if any, remains in effect',
  );
  expect(lines[1]?.[0]).toMatchObject({ namespace: 'team', unlogged: 499 });
});

test('each namespace has its own line, and one without problems or warnings has none', () => {
  const { lines, write } = logging();
  write(0, change('team', [problem('one')]), change('other', [], [problem('w')]), change('quiet', []));
  expect(lines.map(([, message]) => message.split(':', 1)[0])).toEqual([
    'rules in namespace team rejected',
    'rules in namespace other accepted with a warning',
  ]);
});

test('simultaneous changes in one namespace are at most two records, complete until the record is built', () => {
  const many = Array.from({ length: 80 }, (_, index) => ({
    ...change('team', index % 2 === 0 ? [] : [problem('one'), problem('two')]),
    sources: [source],
  }));
  const united = mergeChanges(many);
  expect(united.map(({ problems, sources }) => [problems.length, sources.length])).toEqual([
    [0, 40],
    [80, 40],
  ]);
});
