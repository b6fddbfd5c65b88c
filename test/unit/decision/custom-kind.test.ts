/** Decisions about configured kinds. */
import { describe, expect, test } from 'vitest';
import type { ChangeRequest } from '../../../src/decision/decision.ts';
import { customKindRow } from '../../../src/object/custom-kind.ts';
import { kindsOf, kindsWithImages } from '../../../src/object/kinds.ts';
import { ruleSetOf } from '../rules/documents.ts';
import { accounts, change, credentialsOf, decided, deployment, inject, type PodObject, pod } from './changes.ts';

const kind = { group: 'argoproj.io', version: 'v1alpha1', resource: 'rollouts', kind: 'Rollout' };
const row = customKindRow({ ...kind, template: ['spec', 'template'], podSpecs: [], images: [['spec', 'extraImage']] });
const facts = { ...accounts({ default: ['dockercfg'] }), kinds: kindsOf([...kindsWithImages, row]) };
const rules = ruleSetOf(
  'rules:\n- {registry: corp.io, pullSecret: corp}\n- {registry: other.io, pullSecret: other}\n- {registry: public.io}',
);

type Rollout = ReturnType<typeof deployment>;
const changeOf = (object: Rollout, oldObject?: Rollout): ChangeRequest & { object: Rollout } => ({
  ...change('Deployment', object, oldObject),
  ...kind,
});
const templateOf = ({ spec }: Rollout) => credentialsOf(spec.template);
const rolloutOf = (image: string, list?: readonly string[], mark?: unknown): Rollout => deployment(pod(image, list, mark) as PodObject);

describe('the template of a custom resource', () => {
  const injected = { list: ['corp', 'dockercfg'], mark: { rules: ['corp'], serviceAccount: ['dockercfg'] } };

  test('that has no list gets the secrets of its images and of its account', () => {
    expect(templateOf(inject(changeOf(rolloutOf('corp.io/a')), rules, facts))).toEqual(injected);
    expect(templateOf(inject(changeOf(rolloutOf('corp.io/a', [])), rules, facts))).toEqual(injected);
  });

  test('that has a list keeps it, and gets none', () => {
    const listed = rolloutOf('corp.io/a', ['mine']);
    expect(decided(changeOf(listed), rules, facts)).toMatchObject({ outcome: 'allowed', patch: [], notices: [] });
    expect(decided(changeOf(rolloutOf('other.io/a', ['mine']), listed), rules, facts).patch).toEqual([]);
  });

  test('whose list contains only ours is updated with its images', () => {
    const before = inject(changeOf(rolloutOf('corp.io/a')), rules, facts);
    const after = inject(changeOf(rolloutOf('other.io/a', injected.list, injected.mark), before), rules, facts);
    expect(templateOf(after)).toEqual({ list: ['dockercfg', 'other'], mark: { rules: ['other'], serviceAccount: ['dockercfg'] } });
  });

  test('that lost only ours gets it back, so nothing has changed', () => {
    const before = inject(changeOf(rolloutOf('corp.io/a')), rules, facts);
    expect(inject(changeOf(rolloutOf('corp.io/a'), before), rules, facts)).toEqual(before);
  });

  test('gets no secret for an image next to it, which is evaluated', () => {
    const withExtra = (image: string) => ({ ...rolloutOf('public.io/a'), spec: { ...rolloutOf('public.io/a').spec, extraImage: image } });
    expect(decided(changeOf(withExtra('corp.io/x')), rules, facts)).toMatchObject({ outcome: 'allowed', patch: [] });
    expect(decided(changeOf(withExtra('bad.io/x')), rules, facts).outcome).toBe('denied');
  });
});

test('a custom resource that is not configured is ignored', () => {
  const { kinds: _kinds, ...unnamed } = facts;
  expect(() => decided(changeOf(rolloutOf('bad.io/x')), rules, unnamed)).toThrow('unknown-kind');
});
