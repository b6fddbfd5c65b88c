/** Tests when a repair may be written. */
import { expect, test } from 'vitest';
import { createRepairBackoff, firstDelay, longestDelay } from '../../../../src/cluster/registration/repair-backoff.ts';
import { createRepairLog } from '../../../../src/cluster/registration/repair-log.ts';
import { recordingLog } from '../../kube/scripted-api.ts';

function paced() {
  let now = 0;
  const pace = createRepairBackoff(() => now);
  /** For this long, the configuration is narrowed immediately after each repair. Returns the times of the repairs. */
  const fight = (milliseconds: number) => {
    const repairs: number[] = [];
    for (const end = now + milliseconds; now <= end; now += 1_000) {
      if (pace.pauseBefore('a', 'narrowed') > 0) continue;
      repairs.push(now);
      pace.repaired('a', 'narrowed');
    }
    return repairs;
  };
  const pass = (milliseconds: number) => {
    now += milliseconds;
  };
  return { ...pace, fight, pass };
}

test('a narrowing is repaired immediately the first time, then after pauses that double up to ten minutes', () => {
  const repairs = paced().fight(3 * 60 * 60_000);
  const pauses = repairs.slice(1).map((each, index) => each - (repairs[index] ?? 0));
  expect(repairs[0]).toBe(0);
  expect(pauses.slice(0, 8)).toEqual([10, 20, 40, 80, 160, 320, 600, 600].map((seconds) => seconds * 1_000));
  expect(pauses.every((each) => each >= firstDelay && each <= longestDelay)).toBe(true);
});

test('a weakening never waits, and does not delay the repair of a narrowing', () => {
  const { pauseBefore, repaired, fight } = paced();
  for (let count = 0; count < 100; count += 1) repaired('a', 'weakened');
  expect([pauseBefore('a', 'weakened'), pauseBefore('a', 'narrowed')]).toEqual([0, 0]);
  fight(60_000);
  expect(pauseBefore('a', 'narrowed')).toBeGreaterThan(0);
  expect(pauseBefore('a', 'weakened')).toBe(0);
});

test('each configuration has its own pauses', () => {
  const { pauseBefore, fight } = paced();
  fight(60_000);
  expect(pauseBefore('b', 'narrowed')).toBe(0);
});

test('after a long quiet period the next one is repaired immediately, and then after the first pause', () => {
  const { pauseBefore, repaired, fight, pass } = paced();
  fight(60 * 60_000);
  pass(2 * longestDelay);
  expect(pauseBefore('a', 'narrowed')).toBe(0);
  repaired('a', 'narrowed');
  expect(pauseBefore('a', 'narrowed')).toBe(firstDelay);
});

function reported() {
  let now = 0;
  const log = recordingLog();
  const repairLog = createRepairLog(log, () => now);
  const repaired = (severity: 'narrowed' | 'weakened', fields: string[], manager = 'enforcer') => {
    repairLog.repaired({ kind: 'K', difference: { severity, fields, owned: [] }, managers: [manager], pause: 20_000 });
  };
  const warnings = () => log.lines.filter(({ level }) => level === 'warn').map(({ message }) => message);
  return {
    repaired,
    warnings,
    pass: (milliseconds: number) => {
      now += milliseconds;
    },
  };
}

test.each<['narrowed' | 'weakened', string, string, RegExp]>([
  ['narrowed', 'x: namespaceSelector', 'admissionsenforcer', /Set --admissions-enforcer tolerate/],
  ['narrowed', 'x: namespaceSelector', 'other', /increasing delays.*set --namespace-selector/],
  ['narrowed', 'metadata.labels: admissions.enforcer/disabled', 'argocd', /set --admissions-enforcer tolerate/],
  ['narrowed', 'metadata.annotations: cert-manager.io/inject-ca-from', 'argocd', /Remove the annotation at its source/],
  ['weakened', 'x: clientConfig', 'cainjector', /reverted immediately.*ignore the fields that the field manager regkeeper owns/],
])('a conflict over what is %s (%s, %s) gets two warnings, the second with the fix', (severity, field, manager, remedy) => {
  const { repaired, warnings } = reported();
  for (let count = 0; count < 50; count += 1) repaired(severity, [field], manager);
  expect(warnings()).toHaveLength(2);
  expect(warnings()[0]).toContain(`restored the K regkeeper after a change by ${manager} (${field})`);
  expect(warnings()[1]).toMatch(remedy);
});

test('a persistent conflict is reported again after hours, and another one after a quiet period starts over', () => {
  const { repaired, warnings, pass } = reported();
  for (let minute = 0; minute < 13 * 60; minute += 10) {
    repaired('narrowed', ['x: namespaceSelector']);
    pass(10 * 60_000);
  }
  expect(warnings()).toHaveLength(4);
  pass(60 * 60_000);
  repaired('narrowed', ['x: namespaceSelector']);
  expect(warnings().at(-1)).toBe('restored the K regkeeper after a change by enforcer (x: namespaceSelector)');
});
