/**
 * A tenant controls the number of images in an object, and a policy may have hundreds of secrets, selectors or exemptions. The cost of a
 * request may be the sum of both, but not their product. The time is compared, because the work was in loops of V8 itself (`flatMap`).
 */
import { describe, expect, test } from 'vitest';
import { renderAnswer } from '../../../src/admission/response.ts';
import { decide } from '../../../src/decision/decide.ts';
import type { ChangeRequest } from '../../../src/decision/decision.ts';
import { type Facts, noFacts } from '../../../src/decision/facts.ts';
import { buildAuditRecord, countDecision } from '../../../src/observe/audit/decision-record.ts';
import type { RuleSet } from '../../../src/rules/rule-set.ts';
import { growthOf } from '../../growth.ts';
import { times } from '../../times.ts';
import { ruleSetOf } from '../rules/documents.ts';
import { today } from './changes.ts';

const images = 1_000;

const names = (count: number, prefix: string) => times(count, (index) => `${prefix}-${index}`);
const selecting = (team: string) => ({ matchLabels: { team } });
const facts: Facts = {
  ...noFacts(() => today),
  serviceAccount: () => ({ kind: 'known', pullSecrets: [], onlyListedSecrets: false }),
  namespace: () => ({ kind: 'known', labels: {} }),
};

type Policy = {
  readonly name: string;
  /** A policy with so many secrets, selectors or exemptions. */
  readonly policy: (size: number) => object;
  readonly sizes: readonly [small: number, large: number];
  readonly change: Pick<ChangeRequest, 'group' | 'kind' | 'object'>;
  readonly facts?: Facts;
};

function pod(image: (index: number) => string): Policy['change'] {
  return {
    group: '',
    kind: 'Pod',
    object: { spec: { containers: times(images, (index) => ({ name: `c${index}`, image: image(index) })) } },
  };
}

/** A build whose source images are copied (`paths`, each with its own secret field) or only referenced. */
function build(paths: readonly object[]): Policy['change'] {
  const from = (name: string) => ({ kind: 'DockerImage', name });
  const sources = times(images, (index) => ({ from: from(`a.io/x-${index}`), paths }));
  const spec = { source: { images: sources }, strategy: { sourceStrategy: { from: from('b.io/base') } } };
  return { group: 'build.openshift.io', kind: 'BuildConfig', object: { spec } };
}

function respond({ change, facts: ofRow = facts }: Policy, rules: RuleSet): void {
  const request: ChangeRequest = { operation: 'CREATE', namespace: 'shop', name: 'web', user: 'alice', oldObject: null, ...change };
  const review = { ...request, uid: '1', version: 'v1', subresource: '', groups: [], dryRun: false };
  for (const webhook of ['mutate', 'validate'] as const) {
    const decision = decide(request, rules, ofRow, { withReport: webhook === 'validate' });
    if (decision.kind !== 'decided') throw new Error(JSON.stringify(decision));
    renderAnswer(webhook, review, decision, rules);
    const evaluatedWith = { rules, facts: ofRow };
    const event = { webhook, callerAuthenticated: true, request: review, decision, evaluatedWith, durationMicroseconds: 1 };
    countDecision(event, buildAuditRecord(event));
  }
}

const rows: readonly Policy[] = [
  {
    name: 'secrets of a rule, and images of a Pod with unusual spelling',
    policy: (size) => ({ rules: [{ registry: 'a.io', pullSecret: names(size, 'pull') }] }),
    sizes: [1, 2_000],
    change: pod((index) => `A.io/x-${index}`),
  },
  {
    name: 'secrets with delivery, and images',
    policy: (size) => ({
      rules: [{ registry: 'a.io', pullSecret: names(size, 'pull') }],
      secrets: names(size, 'pull').map((name) => ({ name, source: name, namespaces: '*' })),
    }),
    sizes: [1, 250],
    change: pod((index) => `a.io/x-${index}`),
  },
  {
    name: 'secrets of two rules, and images of a build that share one secret field',
    policy: (size) => ({
      rules: [
        { registry: 'a.io', pullSecret: names(size, 'pull') },
        { registry: 'b.io', pullSecret: names(size, 'base') },
      ],
    }),
    sizes: [1, 500],
    change: build([]),
  },
  {
    name: 'secrets of a rule, and images of a build with a secret field each',
    policy: (size) => ({ rules: [{ registry: 'a.io', pullSecret: names(size, 'pull') }, { registry: 'b.io' }] }),
    sizes: [1, 2_000],
    change: build([{ sourcePath: '/x', destinationDir: 'x' }]),
  },
  {
    name: 'namespace patterns of a rule, and images',
    policy: (size) => ({ rules: [{ registry: 'a.io', namespaces: names(size, 's*') }] }),
    sizes: [1, 2_000],
    change: pod((index) => `a.io/x-${index}`),
  },
  {
    name: 'rules that select by unknown labels, and images',
    policy: (size) => ({ rules: names(size, 'team').map((name) => ({ name, registry: 'a.io:*', namespaces: selecting(name) })) }),
    sizes: [1, 500],
    change: pod((index) => `a.io:${index + 1}/x`),
    facts: { ...facts, namespace: () => ({ kind: 'unknown' }) },
  },
  {
    name: 'exemptions for other repositories, and images',
    policy: (size) => ({ exemptions: names(size, 'a.io/team').map((image) => ({ image, until: '2027-01-01', reason: 'later' })) }),
    sizes: [1, 2_000],
    change: pod((index) => `a.io/team/x-${index}`),
  },
  {
    name: 'exemptions for other namespaces, and images',
    policy: (size) => ({
      exemptions: names(size, 'team').map((team) => ({ image: 'a.io', namespaces: selecting(team), until: '2027-01-01', reason: 'later' })),
    }),
    sizes: [1, 500],
    change: pod((index) => `a.io/team/x-${index}`),
  },
];

describe('the time for a large policy and many images is proportional to their sum', () => {
  test.each(rows)('$name', (row) => {
    const [small, large] = row.sizes;
    const rulesOf = (size: number) => ruleSetOf(JSON.stringify(row.policy(size)));
    // Usually 1 to 1.9. Where the costs were multiplied, it was 9 and more.
    expect(growthOf((rules: RuleSet) => respond(row, rules), rulesOf(small), rulesOf(large))).toBeLessThan(5);
  });
});

describe('names without a registry', () => {
  const hosts = (count: number) =>
    ruleSetOf(JSON.stringify({ shortNames: times(count, (index) => `h${index}.io`), unconfigured: 'allow' }));
  const decided = (rules: RuleSet) =>
    decide(
      { operation: 'CREATE', namespace: 'shop', name: 'web', user: 'alice', oldObject: null, ...pod((index) => `x-${index}`) },
      rules,
      facts,
    );

  test('count once for each registry that nodes search', () => {
    expect(decided(hosts(10)).kind).toBe('decided');
    expect(decided(hosts(11))).toEqual({
      kind: 'malformed',
      problem: {
        path: 'it',
        message:
          'contains 11,000 images, because each name without a registry counts once for each of the 11 registries that nodes search. At most 10,000 are evaluated',
      },
    });
  });

  test('count once in the import of an image stream, which uses Docker Hub only', () => {
    const tags = times(images, (index) => ({ name: `t${index}`, from: { kind: 'DockerImage', name: `x-${index}` } }));
    const change = { group: 'image.openshift.io', kind: 'ImageStream', object: { spec: { tags } } };
    expect(
      decide({ operation: 'CREATE', namespace: 'shop', name: 'web', user: 'alice', oldObject: null, ...change }, hosts(11), facts).kind,
    ).toBe('decided');
  });
});
