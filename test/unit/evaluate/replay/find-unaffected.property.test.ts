/** Requests that a change certainly does not affect are replayed with the same result by both rule sets. Versions of images change no result. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type PastImage, type PastRequest, type Replay, replay } from '../../../../src/decision/replay.ts';
import { findUnaffected } from '../../../../src/evaluate/replay/find-unaffected.ts';
import { withoutVersion } from '../../../../src/image/without-version.ts';
import { runs } from '../../../property.ts';
import { today } from '../../decision/changes.ts';
import { ruleSetOf } from '../../rules/documents.ts';

const registries = ['r0.io', 'r0.io/team', '"*.r1.io"', '"r2.io:5000"', 'docker.io', 'docker.io/library'];
const anyRule = fc.constantFrom(
  undefined,
  '',
  ', trust: false',
  ', trust: false, reason: old',
  ', pullSecret: a',
  ', pullSecret: [a, b], onMissingSecret: deny',
  ', until: 2026-11-30',
  ', until: 2026-10-31',
  ', namespaces: [shop]',
  ', trust: false, namespaces: {matchLabels: {tier: strict}}',
  ', namespaces: {matchLabels: {team: a}}',
);
const anyRules = fc.array(anyRule, { minLength: registries.length, maxLength: registries.length });
const anyRest = fc
  .tuple(
    fc.constantFrom('', 'mode: audit', 'unconfigured: warn', 'inject: pods', 'shortNames: reject', 'shortNames: docker.io'),
    fc.constantFrom('', '', 'exemptions: [{image: evil.io, until: 2027-03-31, reason: moving}]'),
    fc.constantFrom('', '', 'overrides: [{namespaces: {matchLabels: {tier: lax}}, mode: audit}]'),
    fc.constantFrom('', '', '', '', '', 'secrets: [{name: a, source: s, namespaces: [shop]}]'),
  )
  .map((lines) => lines.join('\n'));

function rulesOf(rules: readonly (string | undefined)[], rest: string) {
  const entries = rules.flatMap((fields, index) => (fields === undefined ? [] : [`{registry: ${registries[index]}${fields}}`]));
  return ruleSetOf(`${rest}\nrules: [${entries.join(', ')}]`);
}

/** Rule sets that differ in few rules, and sometimes in something else. */
const anyPair = fc
  .record({
    rules: anyRules,
    rest: anyRest,
    others: fc.dictionary(fc.constantFrom('0', '1', '2', '3', '4', '5'), anyRule, { maxKeys: 2 }),
    otherRest: fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, anyRest),
  })
  .map(({ rules, rest, others, otherRest }) => {
    const changed = rules.map((rule, index) => (String(index) in others ? others[String(index)] : rule));
    return { before: rulesOf(rules, rest), after: rulesOf(changed, otherRest ?? rest) };
  });

const anyText = fc.constantFrom(
  'r0.io/a',
  'r0.io/team/b',
  'x.r1.io/c',
  'r2.io:5000/d',
  'nginx',
  'acme/e',
  'evil.io/f',
  'r0.io/UPPER',
  'r0.io:5000',
);
const anyImage: fc.Arbitrary<PastImage> = fc.record({
  text: anyText,
  action: fc.constantFrom('pull', 'pull', 'push'),
  introduced: fc.constantFrom(true, true, false),
  imported: fc.constantFrom(false, false, true),
  lookupOnly: fc.constantFrom(false, false, true),
  trustedByCluster: fc.constantFrom(...Array<boolean>(12).fill(false), true),
});
const anyRequest: fc.Arbitrary<PastRequest> = fc.record({
  operation: fc.constantFrom('CREATE', 'UPDATE'),
  namespace: fc.constantFrom('shop', 'other'),
  isPod: fc.boolean(),
  isStaticPod: fc.constantFrom(false, false, true),
  hasSecrets: fc.boolean(),
  namespaceLabels: fc.option(
    fc
      .dictionary(fc.constantFrom('tier', 'team'), fc.constantFrom(null, 'strict', 'lax', 'a'))
      .chain((some) => fc.constantFrom(some, ...Array(4).fill({ tier: null, team: null, ...some })))
      .map((labels) => new Map(Object.entries(labels))),
    { freq: 6, nil: undefined },
  ),
  shortNames: fc.constantFrom(...Array<'docker.io'>(6).fill('docker.io'), 'reject' as const, ['r0.io']),
  secrets: fc.constantFrom(new Map(), new Map([['a', 'present' as const]]), new Map([['a', 'absent' as const]])),
  suppliedSecrets: fc.constantFrom(undefined, [], ['a']),
  images: fc.array(anyImage, { minLength: 1, maxLength: 3 }),
});

/** Without the positions of rules. */
function contentOf(result: Replay): unknown {
  if (result.kind === 'unknown') return result;
  const images = result.images.map(({ verdict, reason, outcomeBeforeMode, secrets, rule }) => {
    return { verdict, reason, outcomeBeforeMode, secrets, rule: rule?.name };
  });
  return { ...result, images };
}

test('requests that are found unaffected are replayed with equal results', () => {
  let unaffected = 0;
  fc.assert(
    fc.property(anyPair, fc.array(anyRequest, { minLength: 10, maxLength: 20 }), ({ before, after }, requests) => {
      const isUnaffected = findUnaffected(before, after);
      for (const request of requests) {
        if (!isUnaffected(request)) continue;
        unaffected += 1;
        const old = replay(request, before, () => today);
        expect(old.kind).toBe('replayed');
        expect(contentOf(replay(request, after, () => today))).toEqual(contentOf(old));
      }
    }),
    runs(300),
  );
  expect(unaffected).toBeGreaterThan(runs(300).numRuns / 2);
});

const anyVersion = fc.constantFrom(
  ':1',
  ':latest',
  ':_a.b-c',
  `@sha256:${'0a'.repeat(32)}`,
  `:1@sha256:${'0a'.repeat(32)}`,
  ':',
  ':-1',
  '@sha256:0a',
  ':a b',
  '@',
  `:${'a'.repeat(129)}`,
);
const anyName = fc.oneof(
  anyText,
  fc.constantFrom(
    'sha256',
    '[::1]:5000/a',
    'https://r0.io/a',
    'user:pw@r0.io/a',
    'localhost',
    'r0.io',
    'foo_bar.com/a',
    '$(REG)/a',
    '/',
    '',
    'a//b',
    `r0.io/${'a/'.repeat(600)}b`,
    `r0.io/${'a'.repeat(5_000)}`,
  ),
);

test('an image is evaluated with the same result without its version', () => {
  let shortened = 0;
  fc.assert(
    fc.property(
      anyPair,
      fc.array(fc.tuple(anyName, anyVersion), { minLength: 10, maxLength: 20 }),
      anyRequest,
      ({ before }, names, request) => {
        for (const [name, version] of names) {
          const written = `${name}${version}`;
          const text = withoutVersion(written);
          if (text !== written) shortened += 1;
          const of = (each: string) => ({ ...request, images: request.images.map((image) => ({ ...image, text: each })) });
          expect(contentOf(replay(of(text), before, () => today))).toEqual(contentOf(replay(of(written), before, () => today)));
        }
      },
    ),
    runs(200),
  );
  expect(shortened).toBeGreaterThan(100);
});
