/** Evaluation of one image name: short names and exemptions. */
import { describe, expect, test } from 'vitest';
import { evaluateImage } from '../../../src/decision/evaluate-image.ts';
import { describeEvaluation } from '../../../src/decision/message.ts';
import type { Exemption, RuleSet, ShortNames } from '../../../src/rules/rule-set.ts';
import { ruleSetOf, shop } from '../rules/documents.ts';
import { today } from './changes.ts';

const rules = ruleSetOf(`
internalRegistries: [internal.svc:5000]
rules:
- {registry: a.io, pullSecret: a-pull}
- {registry: b.io, pullSecret: [b-pull, a-pull]}
- {registry: docker.io/library, pullSecret: hub}
- {name: bad, registry: bad.io, trust: false, reason: use a.io}
`);

function evaluate(image: string, ruleSet: RuleSet = rules) {
  return evaluateImage(image, { rules: ruleSet, place: shop, settings: ruleSet.settings, facts: { now: () => today } });
}

function messageOf(image: string, ruleSet: RuleSet): string {
  return describeEvaluation(evaluate(image, ruleSet), { nearest: ruleSet.nearest, place: shop });
}

function shortNames(meaning: ShortNames, ruleSet: RuleSet = rules): RuleSet {
  return { ...ruleSet, settings: { ...ruleSet.settings, shortNames: meaning } };
}

describe('a name without a registry', () => {
  test.each<{ meaning: ShortNames; image: string; verdict: string; outcome: string; secrets: readonly string[] }>([
    { meaning: 'docker.io', image: 'nginx', verdict: 'trusted', outcome: 'allowed', secrets: ['hub'] },
    { meaning: 'docker.io', image: 'team/app', verdict: 'unconfigured', outcome: 'denied', secrets: [] },
    { meaning: 'reject', image: 'nginx', verdict: 'untrusted', outcome: 'denied', secrets: [] },
    { meaning: 'reject', image: 'docker.io/nginx', verdict: 'trusted', outcome: 'allowed', secrets: ['hub'] },
    { meaning: 'reject', image: 'localhost/nginx', verdict: 'unconfigured', outcome: 'denied', secrets: [] },
    { meaning: ['a.io'], image: 'nginx', verdict: 'trusted', outcome: 'allowed', secrets: ['a-pull'] },
    {
      meaning: ['a.io'],
      image: 'team/nginx:1@sha256:'.concat('0'.repeat(64)),
      verdict: 'trusted',
      outcome: 'allowed',
      secrets: ['a-pull'],
    },
    { meaning: ['a.io', 'b.io'], image: 'nginx', verdict: 'trusted', outcome: 'allowed', secrets: ['a-pull', 'b-pull'] },
    { meaning: ['a.io', 'docker.io'], image: 'nginx', verdict: 'trusted', outcome: 'allowed', secrets: ['a-pull', 'hub'] },
    { meaning: ['a.io', 'docker.io'], image: 'team/app', verdict: 'unconfigured', outcome: 'denied', secrets: [] },
    { meaning: ['a.io', 'bad.io', 'unknown.io'], image: 'nginx', verdict: 'untrusted', outcome: 'denied', secrets: [] },
    { meaning: ['internal.svc:5000', 'a.io'], image: 'nginx', verdict: 'trusted', outcome: 'allowed', secrets: ['a-pull'] },
    { meaning: ['unknown.io'], image: 'a.io/nginx', verdict: 'trusted', outcome: 'allowed', secrets: ['a-pull'] },
  ])('if it means $meaning: $image is $verdict', ({ meaning, image, verdict, outcome, secrets }) => {
    const evaluation = evaluate(image, shortNames(meaning));
    expect(evaluation).toMatchObject({ verdict, outcomeBeforeMode: outcome });
    expect([...new Set(evaluation.trustedBy.flatMap(({ pullSecrets }) => pullSecrets))]).toEqual(secrets);
  });

  test('is parsed for each host in the list: only Docker Hub has its library', () => {
    const { searched } = evaluate('nginx:1', shortNames(['a.io', 'docker.io', 'b.io:5000']));
    expect(searched?.map(({ host, port, path, tag }) => ({ host, port, path: path.join('/'), tag }))).toEqual([
      { host: 'a.io', port: undefined, path: 'nginx', tag: '1' },
      { host: 'docker.io', port: undefined, path: 'library/nginx', tag: '1' },
      { host: 'b.io', port: 5000, path: 'nginx', tag: '1' },
    ]);
  });

  test('that is too long with a host in the list is not an image name', () => {
    expect(evaluate('a/'.repeat(2044).concat('a'), shortNames([`${'h'.repeat(60)}.io`]))).toMatchObject({
      verdict: 'invalid',
      outcomeBeforeMode: 'denied',
    });
  });

  test('is denied with a message that shows what to use', () => {
    expect(messageOf('nginx:1', shortNames('reject'))).toBe(
      'does not specify a registry, and short names are denied. Include the registry, for example "docker.io/library/nginx:1".',
    );
    expect(messageOf('team/app', shortNames(['a.io', 'quay.io']))).toBe(
      'is not from a configured registry. A node may resolve a name without a registry to a.io/team/app or quay.io/team/app, so each of them must be trusted. Include the registry.',
    );
  });
});

describe('an exemption', () => {
  const exempting = (untils: readonly string[], of: RuleSet = rules): RuleSet => {
    const pattern = of.rules.find(({ name }) => name === 'bad')?.pattern;
    if (!pattern) throw new Error('no such rule');
    const source = { kind: 'file' as const, file: 'exemptions.yaml' };
    const exemptions = untils.map(
      (until, index): Exemption => ({ pattern, until, reason: `reason ${index}`, origin: { source, line: index + 1, column: 3 } }),
    );
    return { ...of, exemptionsFor: ({ host }) => ({ value: host === 'bad.io' || host === 'unknown.io' ? exemptions : [] }) };
  };

  test.each([
    { until: '2026-11-20', outcome: 'denied', reason: 'untrusted', name: 'ended yesterday' },
    { until: '2026-11-21', outcome: 'allowed', reason: 'exempted', name: 'ends today' },
    { until: '2026-11-22', outcome: 'allowed', reason: 'exempted', name: 'ends tomorrow' },
  ])('that $name: $outcome, without a secret', ({ until, outcome, reason }) => {
    expect(evaluate('bad.io/x', exempting([until]))).toMatchObject({
      verdict: 'untrusted',
      outcomeBeforeMode: outcome,
      reason,
      trustedBy: [],
      exemption: { until },
    });
  });

  test('allows what is not configured, and adds no message if the image is allowed anyway', () => {
    const exempted = exempting(['2027-03-31']);
    expect(evaluate('unknown.io/x', exempted)).toMatchObject({ verdict: 'unconfigured', outcomeBeforeMode: 'allowed', reason: 'exempted' });
    const allowed: RuleSet = { ...exempted, settings: { ...rules.settings, unconfigured: 'allow' } };
    expect(evaluate('unknown.io/x', allowed)).not.toHaveProperty('exemption');
    expect(evaluate('a.io/x', exempting(['2027-03-31']))).not.toHaveProperty('exemption');
  });

  test('is the longest lasting of several', () => {
    expect(evaluate('bad.io/x', exempting(['2027-03-31', '2026-01-01'])).exemption?.until).toBe('2027-03-31');
  });

  test('for one registry of a short name does not apply to the others', () => {
    const searched = shortNames(['bad.io', 'other.io'], exempting(['2027-03-31']));
    expect(evaluate('x', searched)).toMatchObject({ outcomeBeforeMode: 'denied', reason: 'unconfigured' });
    const trusted = shortNames(['bad.io', 'a.io'], exempting(['2027-03-31']));
    expect(evaluate('x', trusted)).toMatchObject({ outcomeBeforeMode: 'allowed', reason: 'exempted', trustedBy: [] });
  });

  test('is reported with its date and position, before and after its end', () => {
    expect(messageOf('bad.io/x', exempting(['2027-03-31']))).toBe(
      'is from an untrusted registry (rule "bad", a.yaml:7:25): use a.io. Exempted until 2027-03-31 (exemptions.yaml:1:3): reason 0.',
    );
    expect(messageOf('bad.io/x', exempting(['2026-03-31']))).toBe(
      'is from an untrusted registry (rule "bad", a.yaml:7:25): use a.io. Its exemption expired on 2026-03-31 (exemptions.yaml:1:3).',
    );
  });
});
