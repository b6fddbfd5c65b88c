/** Runs the case corpus through the engine, without a server. */
import { describe, expect, test } from 'vitest';
import { simulateAdmission } from '../../../src/admission/simulate.ts';
import { factsFromObjects } from '../../../src/evaluate/facts-from-objects.ts';
import { cases, evaluatedObjectsOf, expectedOf, ruleSetOfCase } from '../../cases/cases.ts';

describe.each(cases)('$name', (each) => {
  const facts = factsFromObjects(each.manifests, each);
  const rows = evaluatedObjectsOf(each).map((manifest) => {
    const { object, outcome, messages, patch } = expectedOf(each, manifest);
    return {
      called: `${object.kind} ${object.namespace}/${object.name || object.generateName}`,
      manifest,
      expected: { outcome, messages, patch },
    };
  });

  test.each(rows)('$called', async ({ manifest: { apiVersion, kind, object }, expected }) => {
    const rules = await ruleSetOfCase(each);
    const { namespace, user } = each;
    const rehearsal = simulateAdmission({ apiVersion, kind, object, namespace, user }, rules, facts);
    if (rehearsal.kind !== 'answered') throw new Error(rehearsal.kind);
    const { outcome, warnings, denial, patch, unsure } = rehearsal;
    expect({ outcome, messages: [...warnings, ...(denial === undefined ? [] : [denial])], patch }).toEqual(expected);
    expect(unsure).toEqual([]);
  });
});

describe('the corpus', () => {
  test('every case has something to evaluate, and an entry for each object', () => {
    expect(cases.length).toBeGreaterThanOrEqual(25);
    const uneven = cases.filter((each) => each.results.length === 0 || each.results.length !== evaluatedObjectsOf(each).length);
    expect(uneven.map(({ name }) => name)).toEqual([]);
  });

  test('each object has an expected outcome, messages and patch', () => {
    const incomplete = cases.flatMap(({ name, results }) =>
      results
        .filter((result) => !['outcome', 'messages', 'patch'].every((field) => field in result))
        .map(({ object }) => `${name} ${object.kind} ${object.name}`),
    );
    expect(incomplete).toEqual([]);
  });

  test('each case has its own namespaces, and a reason if it cannot occur in a cluster', () => {
    const owners = new Map<string, string>();
    for (const { name, results } of cases) {
      for (const { object } of results) {
        expect(owners.get(object.namespace) ?? name, object.namespace).toBe(name);
        owners.set(object.namespace, name);
      }
    }
    expect(cases.filter(({ notInCluster }) => notInCluster !== undefined && notInCluster.length < 20)).toEqual([]);
  });
});
