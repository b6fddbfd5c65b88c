/** Compares what two rule sets do to everything that runs: outcomes, secrets, and copies of delivered secrets. */
import type { Outcome } from '../decision/decision.ts';
import type { Facts } from '../decision/facts.ts';
import {
  comparePair,
  countChanges,
  type Effect,
  effectOf,
  type ObjectChange,
  type SecretAt,
  severityOf,
} from '../evaluate/compare-evaluations.ts';
import { evaluateObject, type ObjectEvaluation, type ObjectResult, renderSubject, subjectOf } from '../evaluate/evaluate-object.ts';
import type { Manifest } from '../evaluate/parse-manifests.ts';
import { groupOf } from '../evaluate/platform-kinds.ts';
import { injectedAnnotation, namesInMark, readPodMark } from '../object/injection-mark.ts';
import { type JsonObject, listAt, renderPath, textAt, valueAt } from '../object/json.ts';
import { readObject } from '../object/kinds.ts';
import { readNeededSecrets } from '../object/needed-secrets.ts';
import { controllerOf } from '../object/owner.ts';
import { compareTexts } from '../rules/compare-texts.ts';
import type { RuleSet } from '../rules/rule-set.ts';
import { compareRuleSets, type RuleChange } from '../rules/store/compare-rule-sets.ts';
import { type CopyChange, compareCopies, createNeeds } from './compare-copies.ts';
import { findDeniedAfter, newLastDays } from './denied-after.ts';
import type { LiveInputs } from './live-cluster.ts';
import { type LiveObjects, type ReadWorkloads, readWorkloads, type Workload, type WorkloadName } from './read-workloads.ts';
import { type Affected, affected } from './summarize.ts';

export type RuleComparisonOptions = LiveObjects &
  Pick<LiveInputs, 'facts' | 'namespaces'> & { readonly before: RuleSet; readonly after: RuleSet };

export type RuleComparison = Omit<ReadWorkloads<unknown>, 'workloads'> & {
  /** What differs between the rules themselves, whether or not it changes a result. */
  readonly rules: readonly RuleChange[];
  /** The worst first. */
  readonly changes: readonly WorkloadChange[];
  readonly copies: readonly CopyChange[];
  readonly notEvaluated: readonly string[];
  readonly summary: Affected & {
    /** Workloads. */
    readonly newlyDenied: number;
    readonly newlyAllowed: number;
    readonly newlyWarned: number;
    readonly noLongerWarned: number;
    readonly secretsGained: number;
    readonly secretsLost: number;
    readonly uncertain: number;
    readonly unchanged: number;
    /** Pods that run now, and would be denied only under the new rules if they were created again. */
    readonly newlyDeniedWhenRecreated: Affected;
    /** What `mode: enforce` would newly deny, without what is newly denied already. */
    readonly newlyDeniedOnceEnforced: Affected;
    /** One for each last day that the new rules add or move. */
    readonly deniedAfter: readonly DeniedAfter[];
    readonly copiesGained: number;
    readonly copiesLost: number;
  };
};

/** What will be denied from the day after `date`, and is not denied earlier. `deniedOnceEnforced`: what only `mode: enforce` would deny. */
export type DeniedAfter = { readonly date: string; readonly denied: Affected; readonly deniedOnceEnforced: Affected };

/** The changes of a workload's templates and Pods in one: the worst effect, and everything that differs. */
export type WorkloadChange = Omit<ObjectChange, 'object'> & {
  readonly object: WorkloadName;
  /** Pods that run now. */
  readonly pods: number;
  /** Those that would be denied only under the new rules if they were created again. */
  readonly podsNewlyDenied: number;
};

type Change = Omit<ObjectChange, 'object'>;
type Compared = {
  readonly change: Change | undefined;
  readonly deniedOnceEnforced: boolean;
  /** A last day that the new rules add or move. */
  readonly deniedAfter?: { readonly date: string; readonly outcome: Outcome } | undefined;
};

/** @throws ApiError if the API server cannot be reached, or rejects the credential */
export async function compareRulesOnCluster(options: RuleComparisonOptions): Promise<RuleComparison> {
  const { before, after, facts, namespaces, ...live } = options;
  const notEvaluated: string[] = [];
  const needs = { before: createNeeds(), after: createNeeds() };
  const rules = compareRuleSets(before, after);
  const lastDays = newLastDays(rules, facts.now());
  const { workloads, ...read } = await readWorkloads<Compared>(live, (found, user) => {
    const manifest = asSupplied(found);
    const [old, now] = [before, after].map((each) => evaluateObject(manifest, each, facts, { namespace: '', user, source: 'cluster' }));
    if (old?.kind !== 'evaluated' || now?.kind !== 'evaluated') {
      if (now?.kind === 'not-evaluated') notEvaluated.push(`${renderSubject(subjectOf(manifest, ''))} ${now.why.message}`);
      return { change: undefined, deniedOnceEnforced: false };
    }
    const { namespace } = now.result.object;
    needs.before.add(namespace, neededBy(old));
    needs.after.add(namespace, neededBy(now));
    const [had, has] = [secretsOf(manifest, old.stored, facts), secretsOf(manifest, now.stored, facts)];
    const change = comparePair(old.result, now.result, { gained: without(has, had), lost: without(had, has) });
    const effect = effectOf(ifEnforced(old.result), ifEnforced(now.result));
    const deniedOnceEnforced = effect === 'newly-denied' && now.result.outcome !== 'denied';
    return { change, deniedOnceEnforced, deniedAfter: ifEnforced(now.result) === 'denied' ? undefined : deniedAfter(manifest, user) };
  });

  function deniedAfter(manifest: Manifest, user: string): Compared['deniedAfter'] {
    let outcome: Outcome = 'allowed';
    const date = findDeniedAfter(lastDays, (time) => {
      const then = evaluateObject(manifest, after, { ...facts, now: () => time }, { namespace: '', user, source: 'cluster' });
      if (then.kind !== 'evaluated' || ifEnforced(then.result) !== 'denied') return false;
      outcome = then.result.outcome;
      return true;
    });
    return date === undefined ? undefined : { date, outcome };
  }

  const changes = workloads.flatMap((workload): readonly WorkloadChange[] => {
    const parts = [
      ...workload.templates.map(({ change }) => ({ change, pods: 0 })),
      ...workload.pods.map(({ value: { change }, count }) => ({ change, pods: count })),
    ];
    const changed = parts.flatMap(({ change, pods }) => (change ? [{ change, pods }] : []));
    if (changed.length === 0) return [];
    const { apiVersion, kind, namespace, name } = workload;
    const count = (matches: (change: Change | undefined) => boolean) =>
      parts.reduce((sum, { change, pods }) => sum + (matches(change) ? pods : 0), 0);
    return [
      {
        object: { apiVersion, kind, namespace, name },
        ...merge(changed.map(({ change }) => change)),
        pods: count(() => true),
        podsNewlyDenied: count((change) => change?.effect === 'newly-denied'),
      },
    ];
  });
  const copies = compareCopies({ before, after, needs, namespaces: namespaces(), isCovered: live.isCovered });
  const total = affected(workloads.map((workload) => ({ workload, pods: sumOf(workload.pods) })));
  const sorted = changes.toSorted(bySeverity);
  const summary = {
    ...total,
    ...summarize(changes, copies, workloads.length),
    newlyDeniedOnceEnforced: affectedBy(workloads, ({ deniedOnceEnforced }) => deniedOnceEnforced),
    deniedAfter: lastDays.map((date) => ({
      date,
      denied: affectedBy(workloads, ({ deniedAfter: end }) => end?.date === date && end.outcome === 'denied'),
      deniedOnceEnforced: affectedBy(workloads, ({ deniedAfter: end }) => end?.date === date && end.outcome !== 'denied'),
    })),
  };
  return { ...read, rules, changes: sorted, copies, notEvaluated, summary };
}

function ifEnforced({ outcome, outcomeIfEnforced = outcome }: Pick<ObjectResult, 'outcome' | 'outcomeIfEnforced'>): Outcome {
  return outcomeIfEnforced;
}

/** Also workloads without Pods, such as CronJobs. */
function affectedBy(workloads: readonly Workload<Compared>[], matches: (compared: Compared) => boolean): Affected {
  const found = workloads.filter(({ templates, pods }) => templates.some(matches) || pods.some(({ value }) => matches(value)));
  return affected(found.map((workload) => ({ workload, pods: sumOf(workload.pods.filter(({ value }) => matches(value))) })));
}

function sumOf(groups: readonly { readonly count: number }[]): number {
  return groups.reduce((sum, { count }) => sum + count, 0);
}

/**
 * A Pod without an owner is created again from its author's file, so without what we wrote. Other Pods are created from a template, which is
 * evaluated itself, and which the Pod has its secrets from.
 */
function asSupplied(manifest: Manifest): Manifest {
  const { kind, object } = manifest;
  if (kind !== 'Pod' || controllerOf(object)) return manifest;
  const ours = namesInMark(readPodMark(object, ['metadata']));
  if (ours.size === 0) return manifest;
  const { [injectedAnnotation]: _mark, ...annotations } = (valueAt(object, ['metadata', 'annotations']) ?? {}) as JsonObject;
  const listed = listAt(object, ['spec', 'imagePullSecrets']).filter((entry) => !ours.has(textAt(entry, ['name']) ?? ''));
  const metadata = { ...(object.metadata as JsonObject), annotations };
  return { ...manifest, object: { ...object, metadata, spec: { ...(object.spec as JsonObject), imagePullSecrets: listed } } };
}

type Evaluated = ObjectEvaluation & { readonly kind: 'evaluated' };

function neededBy({ stored }: Evaluated): readonly string[] {
  return readNeededSecrets(valueAt(stored, ['metadata', 'annotations']));
}

/** The secrets that the object would have: what it has now, without what the rules take out, with what they add. */
function secretsOf({ apiVersion, kind }: Manifest, stored: JsonObject, { kinds }: Pick<Facts, 'kinds'>): readonly SecretAt[] {
  const reading = readObject({ group: groupOf(apiVersion), kind, operation: 'CREATE', fromKubelet: false }, stored, kinds);
  if (reading.kind !== 'shape') return [];
  const { shape } = reading;
  if (shape.kind === 'pod') {
    const path = renderPath([...shape.spec, 'imagePullSecrets']);
    return shape.pullSecrets.flatMap((secret) => (secret === undefined ? [] : [{ path, secret }]));
  }
  if (shape.kind === 'naming') return [];
  return shape.credentials.flatMap(({ path, current }) => (current === undefined ? [] : [{ path: renderPath(path), secret: current }]));
}

function without(secrets: readonly SecretAt[], others: readonly SecretAt[]): readonly SecretAt[] {
  const known = new Set(others.map(keyOf));
  return secrets.filter((secret) => !known.has(keyOf(secret)));
}

function keyOf({ path, secret }: SecretAt): string {
  return `${path} ${secret}`;
}

const effects: readonly (Effect | undefined)[] = [
  'newly-denied',
  'newly-warned',
  'newly-allowed',
  'no-longer-warned',
  'secrets',
  undefined,
];

function bySeverity(one: WorkloadChange, other: WorkloadChange): number {
  return severityOf(one) - severityOf(other) || compareTexts(renderSubject(one.object), renderSubject(other.object));
}

/** A change that is the same in the template and in its Pods is shown once. */
function merge(changes: readonly Change[]): Change {
  const [worst] = changes.toSorted((one, other) => effects.indexOf(one.effect) - effects.indexOf(other.effect)) as [Change];
  const uncertain = [...new Set(changes.flatMap((change) => change.uncertain ?? []))];
  return {
    ...(worst.effect && { effect: worst.effect }),
    before: worst.before,
    after: worst.after,
    secretsGained: distinct(
      changes.flatMap(({ secretsGained }) => secretsGained),
      keyOf,
    ),
    secretsLost: distinct(
      changes.flatMap(({ secretsLost }) => secretsLost),
      keyOf,
    ),
    images: distinct(
      changes.flatMap(({ images }) => images),
      ({ path: _place, ...image }) => JSON.stringify(image),
    ),
    messages: worst.messages,
    ...(uncertain.length > 0 && { uncertain }),
  };
}

function distinct<Item>(items: readonly Item[], key: (item: Item) => string): readonly Item[] {
  return [...new Map(items.map((item) => [key(item), item])).values()];
}

function summarize(changes: readonly WorkloadChange[], copies: readonly CopyChange[], workloads: number) {
  const denied = changes.filter(({ podsNewlyDenied }) => podsNewlyDenied > 0);
  return {
    ...countChanges(changes, workloads),
    newlyDeniedWhenRecreated: affected(denied.map(({ object, podsNewlyDenied }) => ({ workload: object, pods: podsNewlyDenied }))),
    copiesGained: copies.reduce((sum, { gained }) => sum + gained.length, 0),
    copiesLost: copies.reduce((sum, { lost }) => sum + lost.length, 0),
  };
}
