/** Tests when a new certificate is served and when it waits for its CA to be published. */
import { X509Certificate } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { missingUntilPublished, waitForPublishedCa } from '../../../../src/certificates/rotation/wait-for-published-ca.ts';
import { createCertificateSource, type ServerCertificate } from '../../../../src/certificates/source.ts';
import { BEGIN, END, sampleCa, sampleServer } from '../samples.ts';

const [old, coming, third] = ['old', 'coming', 'third'].map((commonName) => {
  const ca = sampleCa({ commonName });
  const serving: ServerCertificate = { ...sampleServer({ ca }), caBundle: ca.certificate };
  return { ca: ca.certificate, serving, name: commonName };
}) as [Party, Party, Party];
type Party = { ca: string; serving: ServerCertificate; name: string };

/** A source that waits, the bundles that clients trust, and the time. The test controls all three. */
function stage({ trusted = [old.ca] as readonly string[] | undefined, initial = old.serving } = {}) {
  const source = createCertificateSource(initial);
  const listeners = new Set<() => void>();
  const timers = new Set<{ work: () => void; due: number }>();
  const messages: string[] = [];
  let bundle = trusted;
  let clock = BEGIN.getTime() + 1;
  let elapsed = 0;
  const held = waitForPublishedCa(source, {
    trusted: {
      current: () => bundle,
      onChange: (listener) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    },
    clocks: () => [clock],
    clock: {
      schedule(work, milliseconds) {
        const timer = { work, due: elapsed + milliseconds };
        timers.add(timer);
        return () => void timers.delete(timer);
      },
    },
    onProgress: (message) => messages.push(message),
  });
  onTestFinished(() => held.close());
  return {
    held,
    source,
    timers,
    messages,
    /** The bundles of all clients. */
    publish: (...next: readonly string[]) => {
      bundle = next;
      for (const listener of [...listeners]) listener();
    },
    pass: (seconds: number) => {
      const until = elapsed + seconds * 1_000;
      for (;;) {
        const [next] = [...timers].filter(({ due }) => due <= until).sort((one, other) => one.due - other.due);
        if (!next) break;
        elapsed = next.due;
        timers.delete(next);
        next.work();
      }
      elapsed = until;
    },
    turnClock: (to: number) => {
      clock = to;
    },
    serves: () => [old, coming, third].find(({ serving }) => serving.certificate === held.current().certificate)?.name,
    publishes: () =>
      (held.current().caBundle ?? '')
        .split(/(?<=-----END CERTIFICATE-----\n)/)
        .filter(Boolean)
        .map((pem) => new X509Certificate(pem).subject.replace(/^.*CN=/s, '')),
  };
}

describe('a certificate from a different CA', () => {
  test('waits until clients trust the CA, and ten seconds more; meanwhile both CAs are to be published', () => {
    const { source, serves, publishes, publish, pass, messages } = stage();
    source.replace(coming.serving);
    expect([serves(), publishes()]).toEqual(['old', ['coming', 'old']]);
    pass(3_600);
    expect(serves()).toBe('old');
    publish(coming.ca + old.ca);
    pass(9);
    expect(serves()).toBe('old');
    pass(1);
    expect([serves(), publishes()]).toEqual(['coming', ['coming']]);
    expect(messages).toEqual([
      expect.stringContaining('does not trust the CA of the new certificate yet'),
      expect.stringContaining('serving the new certificate'),
    ]);
  });

  test('waits until every client trusts the CA, even if only one of them trusts the current certificate', () => {
    const { source, serves, publish, pass } = stage({ trusted: [old.ca, third.ca] });
    source.replace(coming.serving);
    expect(serves()).toBe('old');
    publish(old.ca + coming.ca, third.ca);
    pass(60);
    expect(serves()).toBe('old');
    publish(old.ca + coming.ca, coming.ca);
    pass(10);
    expect(serves()).toBe('coming');
  });

  test('restarts the wait if the published CA is removed again', () => {
    const { source, serves, publish, pass } = stage();
    source.replace(coming.serving);
    publish(coming.ca + old.ca);
    pass(9);
    publish(old.ca);
    publish(coming.ca + old.ca);
    pass(9);
    expect(serves()).toBe('old');
    pass(1);
    expect(serves()).toBe('coming');
  });

  test('is superseded by a third one that arrives while it waits', () => {
    const { source, serves, publishes, publish, pass } = stage();
    source.replace(coming.serving);
    publish(coming.ca + old.ca);
    pass(5);
    source.replace(third.serving);
    expect([serves(), publishes()]).toEqual(['old', ['third', 'old']]);
    pass(60);
    expect(serves()).toBe('old');
    publish(third.ca + coming.ca + old.ca);
    pass(10);
    expect(serves()).toBe('third');
  });

  test('is discarded when the current one is provided again', () => {
    const { source, serves, publish, pass, messages } = stage();
    source.replace(coming.serving);
    source.replace(old.serving);
    publish(coming.ca + old.ca);
    pass(60);
    expect(serves()).toBe('old');
    expect(messages).toHaveLength(2);
  });

  test.each([
    ['clients trust it already', [coming.ca + old.ca]],
    ['no client exists', []],
    ['clients do not trust the current certificate either', [third.ca]],
  ])('is served immediately if %s', (_name, trusted) => {
    const { source, serves, messages } = stage({ trusted });
    source.replace(coming.serving);
    expect(serves()).toBe('coming');
    expect(messages).toEqual([]);
  });

  test('waits while it is unknown what clients trust', () => {
    const { source, serves, publish } = stage({ trusted: undefined });
    source.replace(coming.serving);
    expect(serves()).toBe('old');
    publish();
    expect(serves()).toBe('coming');
  });

  test('is served when the current one is about to expire, even if no API server trusts it yet', () => {
    const { source, serves, pass, turnClock } = stage();
    source.replace(coming.serving);
    pass(600);
    expect(serves()).toBe('old');
    turnClock(END.getTime() - 60_000);
    pass(60);
    expect(serves()).toBe('coming');
  });
});

test('a new certificate from the same CA is served immediately, and CAs alone are passed on', () => {
  const { source, held } = stage({ initial: { ...sampleServer(), caBundle: old.ca }, trusted: [old.ca] });
  const serving = { ...old.serving, caBundle: old.ca };
  source.replace(serving);
  expect(held.current()).toEqual(serving);
  source.replace({ ...serving, caBundle: old.ca + coming.ca });
  expect(held.current()).toEqual({ ...serving, caBundle: old.ca + coming.ca });
});

test('listeners are notified of what to publish and what is served, and of nothing twice', () => {
  const { source, held, publish, pass } = stage();
  const heard: ServerCertificate[] = [];
  held.onChange((certificate) => heard.push(certificate));
  source.replace(coming.serving);
  pass(300);
  publish(coming.ca + old.ca);
  pass(3_600);
  expect(heard.map(({ certificate, caBundle }) => [certificate === coming.serving.certificate, caBundle?.split('BEGIN').length])).toEqual([
    [false, 3],
    [true, 2],
  ]);
});

test('closing cancels every timer', () => {
  const { source, held, timers, publish } = stage();
  source.replace(coming.serving);
  publish(coming.ca + old.ca);
  expect(timers.size).toBeGreaterThan(0);
  held.close();
  expect(timers.size).toBe(0);
});

/** A source that has just started, and why it is not ready with these published bundles after so many seconds. */
function justStarted() {
  let clients: readonly string[] | undefined;
  let elapsed = 0;
  const missing = missingUntilPublished(
    createCertificateSource(coming.serving),
    { current: () => clients, onChange: () => () => {} },
    { monotonic: () => elapsed },
  );
  return (published: readonly string[] | undefined, seconds = 1) => {
    clients = published;
    elapsed = seconds * 1_000;
    return missing();
  };
}

test('a server that has just started waits until every client trusts its CA, and never again', () => {
  const after = justStarted();
  expect(after([old.ca])).toBe('the API server does not trust the CA of the serving certificate yet');
  expect(after([coming.ca + old.ca, old.ca])).toBe('the API server does not trust the CA of the serving certificate yet');
  expect(after([coming.ca + old.ca, coming.ca])).toBeUndefined();
  expect(after([old.ca])).toBeUndefined();
});

test('it waits twenty seconds to learn what clients trust', () => {
  const after = justStarted();
  expect(after(undefined, 19)).toBe('the CA bundles that the API server trusts have not been read yet');
  expect(after(undefined, 20)).toBeUndefined();
  expect(after([old.ca], 21)).toBe('the API server does not trust the CA of the serving certificate yet');
});

test('it does not wait if no client exists', () => {
  expect(justStarted()([])).toBeUndefined();
});
