/** Requests, objects and facts for tests of decisions. */
import jsonPatch from 'fast-json-patch';
import { expect } from 'vitest';
import { decide } from '../../../src/decision/decide.ts';
import type { ChangeRequest, Decision } from '../../../src/decision/decision.ts';
import { type Facts, noFacts, type ServiceAccountFacts } from '../../../src/decision/facts.ts';
import type { JsonObject } from '../../../src/object/json.ts';
import type { RuleSet } from '../../../src/rules/rule-set.ts';

export type Decided = Decision & { kind: 'decided' };

const kinds = {
  Pod: '',
  PodTemplate: '',
  ReplicationController: '',
  Deployment: 'apps',
  ReplicaSet: 'apps',
  StatefulSet: 'apps',
  DaemonSet: 'apps',
  Job: 'batch',
  CronJob: 'batch',
  DeploymentConfig: 'apps.openshift.io',
  BuildConfig: 'build.openshift.io',
  Build: 'build.openshift.io',
  BuildRequest: 'build.openshift.io',
  ImageStream: 'image.openshift.io',
  ImageStreamTag: 'image.openshift.io',
  ImageTag: 'image.openshift.io',
  ImageStreamImport: 'image.openshift.io',
  ImageStreamMapping: 'image.openshift.io',
} as const;
export type Kind = keyof typeof kinds;

/** The current day in tests, in milliseconds since 1970. */
export const today = Date.UTC(2026, 10, 21);

/** Facts without a cluster. */
export const unwatched: Facts = noFacts(() => today);

/** A CREATE of the object. With an old object, an UPDATE. */
export function change<Value>(kind: Kind, object: Value, oldObject?: unknown, user = 'alice'): ChangeRequest & { readonly object: Value } {
  const old = oldObject === undefined ? null : (oldObject as JsonObject);
  return { operation: old ? 'UPDATE' : 'CREATE', group: kinds[kind], kind, namespace: 'shop', name: 'web', user, object, oldObject: old };
}

export function decided(request: ChangeRequest, rules: RuleSet, facts: Facts = unwatched): Decided {
  const decision = decide(request, rules, facts);
  if (decision.kind !== 'decided') throw new Error(`not decided: ${JSON.stringify(decision)}`);
  return decision;
}

/** The object after the patch, which must apply. */
export function patched<Value>(object: Value, { patch }: Pick<Decided, 'patch'>): Value {
  const copy = structuredClone(object);
  return jsonPatch.applyPatch(copy, structuredClone(patch) as jsonPatch.Operation[], true).newDocument;
}

/** Decides, applies the patch, and expects an empty patch in a second pass. */
export function inject<Value>(request: ChangeRequest & { readonly object: Value }, rules: RuleSet, facts: Facts = unwatched): Value {
  const object = patched(request.object, decided(request, rules, facts));
  expect(decided({ ...request, object }, rules, facts).patch, 'patch of a second pass').toEqual([]);
  return object;
}

/** Facts of accounts by name. Any other account is absent. */
export function accounts(known: Readonly<Record<string, readonly string[]>>, onlyListedSecrets = false): Facts {
  return {
    ...unwatched,
    serviceAccount: (_namespace, name): ServiceAccountFacts => {
      const pullSecrets = known[name];
      return pullSecrets ? { kind: 'known', pullSecrets, onlyListedSecrets } : { kind: 'absent' };
    },
  };
}

/** Facts where the list of every account exceeds the memory limit. */
export function tooLargeAccounts({ onlyListedSecrets = false } = {}): Facts {
  return { ...unwatched, serviceAccount: () => ({ kind: 'too-large', why: 'it lists more than 1,000 pull secrets', onlyListedSecrets }) };
}

export function containers(...images: readonly string[]): { name: string; image: string }[] {
  return images.map((image, index) => ({ name: `c${index}`, image }));
}

export function secrets(...names: readonly string[]): { name: string }[] {
  return names.map((name) => ({ name }));
}

export type PodObject = {
  metadata?: { annotations?: Record<string, string>; [key: string]: unknown };
  spec: { containers: unknown[]; imagePullSecrets?: unknown; [key: string]: unknown };
};

export function pod(image: string, list?: readonly string[], mark?: unknown): PodObject {
  return {
    metadata: { name: 'web', ...(mark !== undefined && { annotations: { 'regkeeper.io/injected': JSON.stringify(mark) } }) },
    spec: { containers: containers(image), ...(list && { imagePullSecrets: secrets(...list) }) },
  };
}

export function deployment(template: unknown): { metadata: { name: string }; spec: { replicas: number; template: PodObject } } {
  return { metadata: { name: 'web' }, spec: { replicas: 1, template: template as PodObject } };
}

/** The names in the list of a pod or template, and its mark. */
export function credentialsOf({ metadata, spec }: PodObject): { list: unknown; mark: unknown } {
  const text = metadata?.annotations?.['regkeeper.io/injected'];
  const list = spec.imagePullSecrets as ({ name?: string } | null)[] | undefined;
  return { list: list?.map((entry) => entry?.name), mark: text === undefined ? undefined : JSON.parse(text) };
}
