/** Tests which CAs stay in the published bundle, and for how long. */
import { expect, onTestFinished, test, vi } from 'vitest';
import { createCaBundle } from '../../../../src/certificates/rotation/ca-bundle.ts';
import { handClock } from '../../kube/memory-api.ts';
import { sampleCa } from '../samples.ts';

const ca = (commonName: string) => sampleCa({ commonName }).certificate;
const [own, other, third] = ['own', 'other', 'third'].map(ca) as [string, string, string];

function stage() {
  const { clock, passTime } = handClock();
  const onOver = vi.fn();
  const kept = createCaBundle({ clock, onExpired: onOver });
  onTestFinished(() => kept.close());
  return { ...kept, onOver, passTime };
}

test('a published CA stays for a limited time, after the current one', () => {
  const { bundle, onOver, passTime } = stage();
  expect(bundle(own, [])).toBe(own);
  expect(bundle(own, [own + other, other + third])).toBe(own + other + third);
  passTime();
  expect(onOver).toHaveBeenCalledTimes(2);
  expect(bundle(own, [own + other + third])).toBe(own);
});

test('the current CA is published unchanged', () => {
  const { bundle } = stage();
  const written = `# of the platform team\n${own.trimEnd()}`;
  expect(bundle(written, [own])).toBe(written);
  expect(bundle(written, [other])).toBe(`${written}\n${other}`);
  expect(bundle('not a certificate', ['nor this'])).toBe('not a certificate');
});

test('a CA that became the current one is not removed, and its time restarts when it no longer is', () => {
  const { bundle, passTime } = stage();
  bundle(own, [other]);
  passTime();
  expect(bundle(other, [own + other])).toBe(other + own);
  expect(bundle(own, [other + own])).toBe(own + other);
  passTime();
  expect(bundle(own, [own + other])).toBe(own);
});

test('a removed CA that another writer adds again is needed, and stays', () => {
  const { bundle, passTime } = stage();
  bundle(own, [own + other]);
  passTime();
  expect(bundle(own, [own + other])).toBe(own);
  expect(bundle(own, [own])).toBe(own);
  expect(bundle(own, [own + other])).toBe(own + other);
  passTime();
  expect(bundle(own, [own + other])).toBe(own + other);
});

test('a CA that another writer has removed does not come back', () => {
  const { bundle, onOver, passTime } = stage();
  bundle(own, [own + other]);
  expect(bundle(own, [own])).toBe(own);
  passTime();
  expect(onOver).not.toHaveBeenCalled();
});

test('of more than ten, the newest stay', () => {
  const { bundle } = stage();
  const many = Array.from({ length: 12 }, (_, turn) => ca(`turn ${turn}`));
  expect(bundle(own, many)).toBe([own, ...many.slice(3)].join(''));
});

test('closing cancels every timer', () => {
  const { bundle, close, onOver, passTime } = stage();
  bundle(own, [other]);
  close();
  passTime();
  expect(onOver).not.toHaveBeenCalled();
});
