import { X509Certificate } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { missingUntilPublished, waitForPublishedCa } from '../../../../src/certificates/rotation/wait-for-published-ca.ts';
import { createCertificateSource, type ServerCertificate } from '../../../../src/certificates/source.ts';
import { BEGIN, END, sampleAuthority, sampleServer } from '../samples.ts';

const [old, coming, third] = ['old', 'coming', 'third'].map((commonName) => {
  const authority = sampleAuthority({ commonName });
  const serving: ServerCertificate = { ...sampleServer({ authority }), authorities: authority.certificate };
  return { authority: authority.certificate, serving, name: commonName };
}) as [Party, Party, Party];
type Party = { authority: string; serving: ServerCertificate; name: string };

/** A source behind the hold, what clients trust, and time, all moved by hand. */
function stage({ trusted = [old.authority] as readonly string[] | undefined, initial = old.serving } = {}) {
  const source = createCertificateSource(initial);
  const listeners = new Set<() => void>();
  const timers = new Set<{ work: () => void; due: number }>();
  const told: string[] = [];
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
    onProgress: (message) => told.push(message),
  });
  onTestFinished(() => held.close());
  return {
    held,
    source,
    timers,
    told,
    /** To each client. */
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
      (held.current().authorities ?? '')
        .split(/(?<=-----END CERTIFICATE-----\n)/)
        .filter(Boolean)
        .map((pem) => new X509Certificate(pem).subject.replace(/^.*CN=/s, '')),
  };
}

describe('a certificate of another authority', () => {
  test('waits until clients know that, and ten seconds more; both are to be published meanwhile', () => {
    const { source, serves, publishes, publish, pass, told } = stage();
    source.replace(coming.serving);
    expect([serves(), publishes()]).toEqual(['old', ['coming', 'old']]);
    pass(3_600);
    expect(serves()).toBe('old');
    publish(coming.authority + old.authority);
    pass(9);
    expect(serves()).toBe('old');
    pass(1);
    expect([serves(), publishes()]).toEqual(['coming', ['coming']]);
    expect(told).toEqual([expect.stringContaining('the one before stays'), expect.stringContaining('goes into service')]);
  });

  test('waits until each client knows it, also where only one of them takes the one in service', () => {
    const { source, serves, publish, pass } = stage({ trusted: [old.authority, third.authority] });
    source.replace(coming.serving);
    expect(serves()).toBe('old');
    publish(old.authority + coming.authority, third.authority);
    pass(60);
    expect(serves()).toBe('old');
    publish(old.authority + coming.authority, coming.authority);
    pass(10);
    expect(serves()).toBe('coming');
  });

  test('waits anew when what was published is taken back', () => {
    const { source, serves, publish, pass } = stage();
    source.replace(coming.serving);
    publish(coming.authority + old.authority);
    pass(9);
    publish(old.authority);
    publish(coming.authority + old.authority);
    pass(9);
    expect(serves()).toBe('old');
    pass(1);
    expect(serves()).toBe('coming');
  });

  test('gives way to a third one that comes while it waits', () => {
    const { source, serves, publishes, publish, pass } = stage();
    source.replace(coming.serving);
    publish(coming.authority + old.authority);
    pass(5);
    source.replace(third.serving);
    expect([serves(), publishes()]).toEqual(['old', ['third', 'old']]);
    pass(60);
    expect(serves()).toBe('old');
    publish(third.authority + coming.authority + old.authority);
    pass(10);
    expect(serves()).toBe('third');
  });

  test('is forgotten when the one in service comes back', () => {
    const { source, serves, publish, pass, told } = stage();
    source.replace(coming.serving);
    source.replace(old.serving);
    publish(coming.authority + old.authority);
    pass(60);
    expect(serves()).toBe('old');
    expect(told).toHaveLength(2);
  });

  test.each([
    ['clients know it already', [coming.authority + old.authority]],
    ['nobody calls', []],
    ['clients do not take the one in service either', [third.authority]],
  ])('goes into service at once where %s', (_name, trusted) => {
    const { source, serves, told } = stage({ trusted });
    source.replace(coming.serving);
    expect(serves()).toBe('coming');
    expect(told).toEqual([]);
  });

  test('waits while it is not known what clients trust', () => {
    const { source, serves, publish } = stage({ trusted: undefined });
    source.replace(coming.serving);
    expect(serves()).toBe('old');
    publish();
    expect(serves()).toBe('coming');
  });

  test('goes into service when the one before is about to expire, whoever knows it', () => {
    const { source, serves, pass, turnClock } = stage();
    source.replace(coming.serving);
    pass(600);
    expect(serves()).toBe('old');
    turnClock(END.getTime() - 60_000);
    pass(60);
    expect(serves()).toBe('coming');
  });
});

test('a new certificate of the same authority is served at once, and authorities alone pass through', () => {
  const { source, held } = stage({ initial: { ...sampleServer(), authorities: old.authority }, trusted: [old.authority] });
  const serving = { ...old.serving, authorities: old.authority };
  source.replace(serving);
  expect(held.current()).toEqual(serving);
  source.replace({ ...serving, authorities: old.authority + coming.authority });
  expect(held.current()).toEqual({ ...serving, authorities: old.authority + coming.authority });
});

test('listeners hear of what is to be published and of what is served, and of nothing twice', () => {
  const { source, held, publish, pass } = stage();
  const heard: ServerCertificate[] = [];
  held.onChange((certificate) => heard.push(certificate));
  source.replace(coming.serving);
  pass(300);
  publish(coming.authority + old.authority);
  pass(3_600);
  expect(
    heard.map(({ certificate, authorities }) => [certificate === coming.serving.certificate, authorities?.split('BEGIN').length]),
  ).toEqual([
    [false, 3],
    [true, 2],
  ]);
});

test('closing ends every timer', () => {
  const { source, held, timers, publish } = stage();
  source.replace(coming.serving);
  publish(coming.authority + old.authority);
  expect(timers.size).toBeGreaterThan(0);
  held.close();
  expect(timers.size).toBe(0);
});

/** One that has just started, and what it lacks when so much is published, so many seconds after. */
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

test('a server that has just started waits until every client knows its authority, and never again', () => {
  const after = justStarted();
  expect(after([old.authority])).toBe('the API server does not know its authority yet');
  expect(after([coming.authority + old.authority, old.authority])).toBe('the API server does not know its authority yet');
  expect(after([coming.authority + old.authority, coming.authority])).toBeUndefined();
  expect(after([old.authority])).toBeUndefined();
});

test('it waits twenty seconds to learn what clients know', () => {
  const after = justStarted();
  expect(after(undefined, 19)).toBe('which authorities the API server knows has not been read yet');
  expect(after(undefined, 20)).toBeUndefined();
  expect(after([old.authority], 21)).toBe('the API server does not know its authority yet');
});

test('it does not wait where nobody calls', () => {
  expect(justStarted()([])).toBeUndefined();
});
