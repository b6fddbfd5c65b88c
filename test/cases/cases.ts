/** Reads the cases of this folder: rules, objects, and the expected outcome, messages and patch of each object. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parse } from 'yaml';
import { type Manifest, parseManifests } from '../../src/evaluate/parse-manifests.ts';
import { loadRules } from '../../src/loading/load-rules.ts';
import type { RuleSet } from '../../src/rules/rule-set.ts';

export const casesFolder = import.meta.dirname;

export type Case = {
  readonly name: string;
  /** `file` is relative to the case's folder, as in messages. */
  readonly rules: readonly { readonly file: string; readonly text: string }[];
  readonly manifests: readonly Manifest[];
  readonly namespace: string;
  readonly user: string;
  readonly assumeComplete: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly results: readonly ExpectedResult[];
  /** Why this case cannot occur in a real cluster. Undefined where it can. */
  readonly notInCluster: string | undefined;
};

export type ExpectedResult = {
  readonly object: {
    readonly apiVersion: string;
    readonly kind: string;
    readonly namespace: string;
    readonly name: string;
    readonly generateName?: string;
  };
  readonly outcome: 'allowed' | 'warned' | 'denied';
  readonly messages: readonly string[];
  readonly patch: readonly unknown[];
};

export const cases: readonly Case[] = readdirSync(casesFolder, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => readCase(name));

/** The expected result of an object. @throws Error where expected.yaml has none */
export function expectedOf({ name, results, namespace }: Case, { object, kind }: Manifest): ExpectedResult {
  const metadata = object.metadata as { name?: string; generateName?: string; namespace?: string };
  const found = results.find(
    ({ object: expected }) =>
      expected.kind === kind &&
      expected.name === (metadata.name ?? '') &&
      expected.generateName === (metadata.name === undefined ? metadata.generateName : undefined) &&
      expected.namespace === (metadata.namespace ?? namespace),
  );
  if (!found) throw new Error(`${name}: nothing is expected of ${kind} ${metadata.name}`);
  return found;
}

/** The objects that the webhooks evaluate, in the order of objects.yaml. */
export function evaluatedObjectsOf({ manifests }: Case): readonly Manifest[] {
  return manifests.filter(({ kind }) => !['Namespace', 'ServiceAccount', 'Secret'].includes(kind));
}

/** The compiled rules of a case, with positions as `regkeeper test` prints them. */
export async function ruleSetOfCase({ name, rules }: Case): Promise<RuleSet> {
  const folder = join(casesFolder, name);
  const { ruleSet, problems } = await loadRules(
    rules.map(({ file }) => join(folder, file)),
    (file) => relative(folder, file),
  );
  if (!ruleSet) throw new Error(`${name}: ${JSON.stringify(problems)}`);
  return ruleSet;
}

function readCase(name: string): Case {
  const read = (file: string) => readFileSync(join(casesFolder, name, file), 'utf8');
  const has = (file: string) => existsSync(join(casesFolder, name, file));
  const expected = parse(read('expected.yaml'));
  const mark = has('case.yaml') ? parse(read('case.yaml')) : {};
  const files = has('rules.yaml') ? ['rules.yaml'] : readdirSync(join(casesFolder, name, 'rules')).map((file) => `rules/${file}`);
  const { manifests, problems } = parseManifests(read('objects.yaml'), 'objects.yaml');
  if (problems.length > 0) throw new Error(`${name}: ${JSON.stringify(problems)}`);
  return {
    name,
    rules: files.sort().map((file) => ({ file, text: read(file) })),
    manifests,
    namespace: expected.namespace ?? 'default',
    user: expected.user ?? 'developer',
    assumeComplete: expected.assumeComplete ?? false,
    now: expected.date === undefined ? Date.now() : Date.parse(`${expected.date}T12:00:00Z`),
    results: expected.results,
    notInCluster: mark.cluster === false ? mark.reason : undefined,
  };
}
