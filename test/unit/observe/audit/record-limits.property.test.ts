/** Properties of the record of any object, grown to a hostile size, by any user, under hostile rules. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { changeOf, type ReviewRequest, type Webhook } from '../../../../src/admission/review.ts';
import { decide } from '../../../../src/decision/decide.ts';
import type { Facts } from '../../../../src/decision/facts.ts';
import { isObject, type JsonObject } from '../../../../src/object/json.ts';
import { kindsWithImages } from '../../../../src/object/kinds.ts';
import { buildAuditRecord, countDecision } from '../../../../src/observe/audit/decision-record.ts';
import { Cutter, type ListBudget, maxBytes } from '../../../../src/observe/audit/record-limits.ts';
import { buildRulesRecord } from '../../../../src/observe/audit/rules-record.ts';
import { beginRulesReviewRecord } from '../../../../src/observe/audit/rules-review-record.ts';
import { createAuditLog } from '../../../../src/observe/logger.ts';
import { mergeChanges } from '../../../../src/observe/namespace-rules-log.ts';
import { labelKeysOf } from '../../../../src/rules/label-keys.ts';
import { propertyTimeout, runs } from '../../../property.ts';
import { anyObjectOf } from '../../decision/any-object.ts';
import { unwatched } from '../../decision/changes.ts';
import { ruleSetOf } from '../../rules/documents.ts';

const delivered = Array.from({ length: 250 }, (_, index) => `${'d'.repeat(249)}-${100 + index}`);

/** Names and reasons of the greatest length that rules may have. */
const rules = ruleSetOf(`
unconfigured: warn
shortNames: [${Array.from({ length: 9 }, (_, index) => `${`${'h'.repeat(60)}.`.repeat(3)}s${index}.io`).join(', ')}]
overrides:
${Array.from({ length: 20 }, (_, index) => `- {namespaces: {matchLabels: {"${`${'d'.repeat(60)}.`.repeat(4)}io/key-${index}": "x"}}, inject: pods}`).join('\n')}
rules:
- {registry: r0.io, name: "${'n'.repeat(60)}", pullSecret: pull-0, pushSecret: push}
- {registry: "r0.io:*", pullSecret: pull-0}
- {registry: r1.io, pullSecret: [pull-1, "${'s'.repeat(253)}", ${delivered.join(', ')}]}
- {registry: evil.io, trust: false, reason: "${'é'.repeat(100)}"}
exemptions:
- {image: exempt.io/x, until: 2099-01-01, reason: "${'r'.repeat(100)}"}
secrets:
${delivered.map((name) => `- {name: ${name}, source: s, namespaces: "*"}`).join('\n')}
`);
const facts: Facts = {
  ...unwatched,
  namespace: () => ({ kind: 'known', labels: Object.fromEntries(labelKeysOf(rules).map((key) => [key, 'v'.repeat(63)])) }),
  secret: () => 'absent',
  delivery: () => ({ kind: 'running' }),
};

/** Pieces of hostile texts: plain, multi-byte, those that JSON writes with six bytes, and halves of a surrogate pair. */
const hostileTextOf = (most: number) =>
  fc
    .tuple(fc.constantFrom('x', 'é', '\u0001', '"', '\ud83d', '😀', 'r0.io/'), fc.integer({ min: 0, max: most }))
    .map(([piece, times]) => piece.repeat(times));
const hostileText = hostileTextOf(3_000);

/** Makes each text, or each list that is not in another one, longer, since an attacker may enlarge any part of an object. */
type Growth = { readonly text: string; readonly lists: number; readonly longImages: boolean };

/** Long texts or long lists: several times what a record may hold. Both at once would only take longer. */
const anyGrowth: fc.Arbitrary<Growth> = fc
  .constantFrom(1, 1, 30, 300)
  .chain((lists) =>
    fc.record({ text: hostileTextOf(Math.round(6_000 / (lists + 1))), lists: fc.constant(lists), longImages: fc.boolean() }),
  );

function grow(value: unknown, growth: Growth): unknown {
  if (typeof value === 'string') return growth.longImages && /[./]/.test(value) ? `${value}${growth.text}` : value;
  if (Array.isArray(value)) {
    const items = value.map((item) => grow(item, { ...growth, lists: 1 }));
    return items.length > 0 && items.every(isObject) ? Array.from({ length: growth.lists }, () => items).flat() : items;
  }
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, grow(field, growth)]));
}

const anyRequest = fc.record({
  uid: hostileText,
  subresource: hostileText,
  namespace: hostileText,
  name: hostileText,
  user: hostileText,
  groups: fc.array(hostileText, { maxLength: 3 }).chain((groups) => fc.constantFrom(1, 1_000).map((times) => repeat(groups, times))),
  owner: hostileText,
});

function repeat<Item>(items: readonly Item[], times: number): Item[] {
  return Array.from({ length: times }, () => items).flat();
}

test.each(kindsWithImages.map(({ kind, group }) => ({ kind, group })))(
  'for $kind in the group "$group": at most 256 KiB, the counts add up, and truncation is marked',
  { timeout: 120_000 },
  ({ kind, group }) => {
    const objects = anyObjectOf[`${kind}.${group}`] as fc.Arbitrary<JsonObject>;
    const scenario = fc.record({ object: objects, growth: anyGrowth, request: anyRequest, update: fc.boolean() });
    fc.assert(
      fc.property(scenario, ({ object, growth, request: { owner, ...asked }, update }) => {
        const grown = grow(object, growth) as JsonObject;
        const controller = { controller: true, kind: `k${owner}`, name: `n${owner}` };
        const metadata = { ...(grown.metadata as object), generateName: `g${owner}`, ownerReferences: [controller] };
        const review: ReviewRequest = {
          ...asked,
          operation: update ? 'UPDATE' : 'CREATE',
          group,
          version: 'v1',
          kind,
          dryRun: false,
          object: { ...grown, metadata },
          oldObject: update ? object : null,
        };
        const change = changeOf(review);
        const decision = change && decide(change, rules, facts);
        for (const webhook of ['mutate', 'validate'] as const) checkRecord(webhook, review, decision);
      }),
      runs(25),
    );
  },
);

function checkRecord(webhook: Webhook, request: ReviewRequest, decision: ReturnType<typeof decide> | undefined): void {
  const evaluatedWith = { rules, facts };
  const event = { webhook, callerAuthenticated: false, request, decision, evaluatedWith, durationMicroseconds: Number.MAX_SAFE_INTEGER };
  const record = buildAuditRecord(event);
  const line = written(record);
  expect(Buffer.byteLength(line)).toBeLessThanOrEqual(maxBytes);
  expect(JSON.parse(line)).toMatchObject(JSON.parse(JSON.stringify(record)));
  const { groupsOmitted = 0, imagesOmitted = 0, injectOmitted = 0 } = record;
  expect(record.groups.length + groupsOmitted).toBe(request.groups.length);
  if (decision?.kind !== 'decided') return;
  const counted = countDecision(event, record);
  expect(counted.images.map(({ rule }) => rule?.name)).toEqual(decision.images.map(({ rule }) => rule?.name));
  expect(record.images.length + imagesOmitted).toBe(decision.images.length);
  expect(counted.images).toHaveLength(decision.images.length);
  expect(record.inject.length + injectOmitted).toBe(counted.inject.length);
  const { needed = [], neededOmitted = 0, awaited = [], awaitedOmitted = 0 } = record.delivery ?? {};
  expect(needed.length + neededOmitted).toBe(webhook === 'mutate' ? (decision.neededSecrets?.length ?? 0) : 0);
  expect(awaited.length + awaitedOmitted).toBe(decision.awaited?.secrets.length ?? 0);
  const named = new Set(decision.images.flatMap(({ trustedBy }) => trustedBy.flatMap(({ pullSecrets }) => pullSecrets)));
  const isPod = webhook === 'validate' && request.kind === 'Pod';
  const secretsNotShown = isPod ? named.size - Object.keys(record.secrets ?? {}).length : 0;
  const notShown = groupsOmitted + imagesOmitted + injectOmitted + neededOmitted + awaitedOmitted + (record.messagesOmitted ?? 0);
  const partly = line.includes(' characters]…') || notShown + secretsNotShown > 0;
  expect(record.truncated === true).toBe(partly);
}

function written(record: object): string {
  const lines: string[] = [];
  createAuditLog({ write: (line: string) => lines.push(line) }).write(record);
  return lines.join('');
}

test('for a review of rules: at most 256 KiB', () => {
  const texts = fc.array(hostileText, { maxLength: 4 }).chain((list) => fc.constantFrom(1, 200).map((times) => repeat(list, times)));
  fc.assert(
    fc.property(anyRequest, texts, texts, ({ owner: _, ...asked }, problems, warnings) => {
      const kind = { group: '', version: 'v1', kind: 'ConfigMap' };
      const request: ReviewRequest = { ...asked, ...kind, operation: 'CREATE', dryRun: false, object: {}, oldObject: null };
      const record = beginRulesReviewRecord(request, { callerAuthenticated: false })({
        outcome: 'rejected',
        problems,
        warnings,
        durationMicroseconds: 1,
      });
      expect(Buffer.byteLength(written(record))).toBeLessThanOrEqual(maxBytes);
      expect(record.problems.length + (record.problemsOmitted ?? 0)).toBe(problems.length);
      expect(record.warnings.length + (record.warningsOmitted ?? 0)).toBe(warnings.length);
    }),
    runs(100),
  );
});

/** Rules of one namespace, whose names and texts a tenant chooses. In several rounds its changes are merged before the record is built. */
const anyNamespaceChange = fc.record({
  namespace: hostileText,
  problems: fc.array(hostileText, { maxLength: 4 }),
  keys: fc.array(hostileText, { maxLength: 4 }),
  times: fc.constantFrom(1, 40, 300),
  changes: fc.constantFrom(1, 40),
  ruleCount: fc.constantFrom(0, 3, 200),
  reason: fc.constantFrom('x', 'é', '"', '\u0001').chain((piece) => fc.integer({ min: 1, max: 200 }).map((times) => piece.repeat(times))),
});

test('for a change of the rules of a namespace: at most 256 KiB, the counts add up, and truncation is marked', {
  timeout: propertyTimeout,
}, () => {
  fc.assert(
    fc.property(anyNamespaceChange, ({ namespace, problems, keys, times, changes, ruleCount, reason }) => {
      const scope = { kind: 'namespace', namespace } as const;
      const sources = repeat(keys, times).map((key) => ({ kind: 'configMap', namespace, name: key, key }) as const);
      const [source = { kind: 'configMap', namespace, name: 'own', key: 'a.yaml' } as const] = sources;
      const origin = { source, line: 1, column: 1 };
      const found = repeat(problems, times).map((message) => ({ code: 'unknown-field', message, origin }) as const);
      const own = Array.from({ length: ruleCount }, (_, index) => ({
        ...(rules.rules[0] as (typeof rules.rules)[number]),
        name: `${reason}${index}`,
        reason: reason.repeat(3),
        origin,
      }));
      const after = { ...rules, revision: 'after', namespaceRules: new Map([[namespace, own]]) };
      const each = { scope, sources, before: rules, after, problems: found };
      const united = mergeChanges(Array.from({ length: changes }, () => each));
      expect(united).toHaveLength(1);
      for (const change of united) {
        const record = buildRulesRecord(change);
        const line = written(record);
        expect(Buffer.byteLength(line)).toBeLessThanOrEqual(maxBytes);
        const { sourcesOmitted = 0, problemsOmitted = 0 } = record;
        expect(record.sources.length + sourcesOmitted).toBe(sources.length * changes);
        expect(record.problems.length + problemsOmitted).toBe(found.length * changes);
        const shown = record.rules as { namespaceRules: readonly unknown[]; namespaceRulesOmitted?: number };
        const { namespaceRulesOmitted = 0 } = shown;
        expect(shown.namespaceRules.length + namespaceRulesOmitted).toBe(own.length);
        const partly = line.includes(' characters]…') || sourcesOmitted + problemsOmitted + namespaceRulesOmitted > 0;
        expect(record.truncated === true).toBe(partly);
      }
    }),
    runs(60),
  );
});

test('a list is cut after the maximum count and size, and is complete if it fits', () => {
  const budget: ListBudget = { count: 20, bytes: 5_000 };
  fc.assert(
    fc.property(fc.array(hostileText, { maxLength: 30 }), (texts) => {
      const cutter = new Cutter();
      const shown = cutter.list(texts, budget);
      expect(texts.slice(0, shown.length)).toEqual(shown);
      const bytes = (count: number) => texts.slice(0, count).reduce((sum, text) => sum + Buffer.byteLength(JSON.stringify(text)) + 1, 0);
      expect(shown.length <= budget.count && bytes(shown.length) <= budget.bytes).toBe(true);
      if (shown.length < Math.min(texts.length, budget.count)) expect(bytes(shown.length + 1)).toBeGreaterThan(budget.bytes);
      expect(cutter.cut).toBe(shown.length < texts.length);
    }),
  );
});
