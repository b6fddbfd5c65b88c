/** The pull secret plan, on names alone. */
import { describe, expect, test } from 'vitest';
import type { ServiceAccountFacts } from '../../../../src/decision/facts.ts';
import {
  type AddedSecret,
  type ListedName,
  type OldTemplate,
  type PullSecretInput,
  type PullSecretPlan,
  planPullSecrets,
  type WritePlan,
} from '../../../../src/decision/inject/plan-pull-secrets.ts';
import { noPodMark, type PodMark } from '../../../../src/object/injection-mark.ts';

/** Differences from the default: a new object without list and mark, whose images need `corp` and whose account has `own`. */
type Row = Partial<Omit<PullSecretInput, 'account' | 'userSupplied' | 'old' | 'mark'>> & {
  readonly name: string;
  readonly mark?: Partial<PodMark>;
  readonly account?: ServiceAccountFacts;
  readonly userSupplied?: readonly string[];
  readonly old?: 'unchanged' | OldTemplate;
  readonly plan: PullSecretPlan;
};

function inputOf({ name: _name, plan: _plan, mark, account = knows('own'), userSupplied = [], ...row }: Row): PullSecretInput {
  return {
    stage: 'template',
    list: [],
    mark: { ...noPodMark, ...mark },
    wanted: ['corp'],
    immutable: false,
    onlyIntoEmptyList: false,
    account: () => account,
    userSupplied: () => new Set(userSupplied),
    ...row,
  };
}

function expectPlans(rows: readonly Row[]): void {
  test.each(rows)('$name', (row) => {
    expect(planPullSecrets(inputOf(row))).toEqual(row.plan);
  });
}

const absent: ServiceAccountFacts = { kind: 'absent' };
const unknown: ServiceAccountFacts = { kind: 'unknown' };
const knows = (...pullSecrets: string[]): ServiceAccountFacts => ({ kind: 'known', pullSecrets, onlyListedSecrets: false });
const allowsOnly = (...pullSecrets: string[]): ServiceAccountFacts => ({ kind: 'known', pullSecrets, onlyListedSecrets: true });
const tooLarge: ServiceAccountFacts = { kind: 'too-large', why: 'it is long', onlyListedSecrets: false };
const tooLargeAndStrict: ServiceAccountFacts = { ...tooLarge, onlyListedSecrets: true };

const ruled = (secret: string): AddedSecret => ({ secret, from: 'rule' });
const accounted = (secret: string): AddedSecret => ({ secret, from: 'serviceAccount' });
const both = { rules: ['corp'], serviceAccount: ['own'] };

type Written = Partial<Pick<WritePlan, 'kept' | 'added' | 'notices'>> & { removed?: readonly string[]; mark?: Partial<PodMark> };
function write({ removed = [], mark, ...plan }: Written): PullSecretPlan {
  return { kind: 'write', kept: [], added: [], notices: [], ...plan, removed: new Set(removed), mark: { ...noPodMark, ...mark } };
}
const unchanged: PullSecretPlan = { kind: 'unchanged', added: [], notices: [] };
const restore = (...added: AddedSecret[]): PullSecretPlan => ({ kind: 'restore', added, notices: [] });

/** By default, an old template with the list and mark of an injection, and an update that differs only in list and mark. */
function old({ mark, sentMark, ...differences }: Partial<Omit<OldTemplate, 'mark' | 'sentMark'>> & OldMarks = {}): OldTemplate {
  return {
    list: ['corp', 'own'],
    mark: { ...noPodMark, ...(mark ?? both) },
    sentMark: { ...noPodMark, ...sentMark },
    restUnchanged: true,
    listUnchanged: false,
    changedEntries: new Set<ListedName>(),
    sameAccount: true,
    ...differences,
  };
}
type OldMarks = { mark?: Partial<PodMark>; sentMark?: Partial<PodMark> };

describe('a new Pod or template', () => {
  expectPlans([
    {
      name: 'without a list gets the secrets of the rules and those of its account',
      plan: write({ added: [ruled('corp'), accounted('own')], mark: both }),
    },
    { name: 'that needs no secret gets none', wanted: [], plan: write({}) },
    {
      name: 'keeps a user-supplied list in order, and gets only what is missing in it',
      list: ['z', 'corp', 'a'],
      wanted: ['corp', 'more'],
      plan: write({ kept: ['z', 'corp', 'a'], added: [ruled('more')], mark: { rules: ['more'] } }),
    },
    { name: 'keeps names that are listed twice', list: ['a', 'a', 'corp'], plan: write({ kept: ['a', 'a', 'corp'] }) },
    {
      name: 'with an entry without a name has a user-supplied list',
      list: [undefined],
      plan: write({ kept: [undefined], added: [ruled('corp')], mark: { rules: ['corp'] } }),
    },
    {
      name: "gets a secret of both a rule and the account only once, as the rule's",
      account: knows('corp'),
      plan: write({ added: [ruled('corp')], mark: { rules: ['corp'] } }),
    },
    {
      name: 'is not marked with a name that is user-supplied but not in the list',
      userSupplied: ['corp'],
      plan: write({ added: [ruled('corp'), accounted('own')], mark: { serviceAccount: ['own'] } }),
    },
    {
      name: 'of a custom resource with an empty list gets the secrets too',
      onlyIntoEmptyList: true,
      plan: write({ added: [ruled('corp'), accounted('own')], mark: both }),
    },
    { name: 'of a custom resource with a user-supplied list is left alone', onlyIntoEmptyList: true, list: ['mine'], plan: unchanged },
    {
      name: 'of a custom resource with only our entries is not',
      onlyIntoEmptyList: true,
      list: ['stale'],
      mark: { rules: ['stale'] },
      plan: write({ removed: ['stale'], added: [ruled('corp'), accounted('own')], mark: both }),
    },
  ]);

  test.each<{ name: string; list?: readonly ListedName[]; wanted?: readonly string[]; stage: PullSecretInput['stage'] }>([
    { name: 'a template that needs no secret', wanted: [], stage: 'template' },
    { name: 'a Pod that needs no secret', wanted: [], stage: 'pod' },
    { name: 'a Pod with a user-supplied list that needs no secret', list: ['mine'], wanted: [], stage: 'pod' },
  ])('the account of $name does not matter', ({ name, ...row }) => {
    const account = () => expect.unreachable('asked for the account');
    expect(planPullSecrets({ ...inputOf({ name, ...row, plan: unchanged }), account })).toMatchObject({ added: [], notices: [] });
  });

  test('user-supplied fields are not parsed if no name is added', () => {
    const userSupplied = () => expect.unreachable('read what is user-supplied');
    const row = { name: '', list: ['corp', 'own'], mark: both, plan: unchanged };
    expect(planPullSecrets({ ...inputOf(row), userSupplied })).toMatchObject({ kind: 'write', added: [] });
  });
});

describe('a Pod', () => {
  const stage = 'pod';
  expectPlans([
    {
      stage,
      name: 'keeps entries of ours that no rule contains, and gets the secrets of its account too',
      list: ['old'],
      mark: { rules: ['old'] },
      wanted: [],
      plan: write({ kept: ['old'], added: [accounted('own')], mark: { rules: ['old'], serviceAccount: ['own'] } }),
    },
    {
      stage,
      name: 'keeps the names of its mark that the list does not have',
      mark: { rules: ['gone'] },
      wanted: [],
      plan: write({ mark: { rules: ['gone'] } }),
    },
    {
      stage,
      name: 'with a user-supplied entry gets nothing from its account',
      list: ['mine', 'old'],
      mark: { rules: ['old'] },
      plan: write({ kept: ['mine', 'old'], added: [ruled('corp')], mark: { rules: ['old', 'corp'] } }),
    },
    { stage, name: 'is retried while its account is unknown here', account: absent, plan: { kind: 'not-yet' } },
    {
      stage,
      name: 'that needs nothing from its account is not retried',
      account: absent,
      list: ['mine'],
      wanted: [],
      plan: write({ kept: ['mine'] }),
    },
    {
      stage,
      name: 'with an empty list proves that its account has no secrets, where that cannot be looked up',
      account: unknown,
      plan: write({ added: [ruled('corp')], mark: { rules: ['corp'] } }),
    },
    {
      stage,
      name: 'with an empty list proves that its account has no secrets, where its list is too large',
      account: tooLarge,
      plan: write({ added: [ruled('corp')], mark: { rules: ['corp'] } }),
    },
    {
      stage,
      name: 'of a marked template may lack secrets of an account that cannot be looked up',
      account: unknown,
      list: ['corp'],
      mark: { rules: ['corp'] },
      plan: write({ kept: ['corp'], mark: { rules: ['corp'] }, notices: [{ reason: 'account-unknown' }] }),
    },
    {
      stage,
      name: 'of a marked template may lack secrets of an account whose list is too large',
      account: tooLarge,
      list: ['corp', 'own'],
      mark: both,
      plan: write({ kept: ['corp', 'own'], mark: both, notices: [{ reason: 'account-too-large', tooLarge: 'it is long' }] }),
    },
  ]);
});

describe('a template', () => {
  expectPlans([
    {
      name: 'loses entries of ours that are no longer needed, and no others',
      list: ['mine', 'old', undefined],
      mark: { rules: ['old'] },
      wanted: [],
      plan: write({ kept: ['mine', undefined], removed: ['old'] }),
    },
    {
      name: 'loses all entries with the same name',
      list: ['old', 'mine', 'old'],
      mark: { serviceAccount: ['old'] },
      wanted: [],
      plan: write({ kept: ['mine'], removed: ['old'] }),
    },
    {
      name: "loses the account's secrets once the user lists secrets",
      list: ['mine', 'corp', 'own'],
      mark: both,
      plan: write({ kept: ['mine', 'corp'], removed: ['own'], mark: { rules: ['corp'] } }),
    },
    {
      name: "keeps the account's secrets if a name in a rule has become user-supplied",
      list: ['corp', 'own'],
      mark: { serviceAccount: ['own'] },
      plan: write({ kept: ['corp', 'own'], mark: { serviceAccount: ['own'] } }),
    },
    {
      name: "loses the account's secrets that the account no longer has",
      list: ['corp', 'own'],
      mark: { serviceAccount: ['own'] },
      account: knows(),
      plan: write({ kept: ['corp'], removed: ['own'] }),
    },
    {
      name: "keeps the account's secrets if another entry of ours is no longer needed",
      list: ['corp', 'own', 'old'],
      mark: { rules: ['old'], serviceAccount: ['own'] },
      plan: write({ kept: ['corp', 'own'], removed: ['old'], mark: { serviceAccount: ['own'] } }),
    },
    {
      name: "keeps the account's secrets if the user lists another one of them",
      list: ['corp', 'own', 'more'],
      mark: { serviceAccount: ['own'] },
      account: knows('own', 'more'),
      plan: write({ kept: ['corp', 'own', 'more'], mark: { serviceAccount: ['own'] } }),
    },
    {
      name: 'loses the secrets of an account that no longer exists',
      list: ['corp', 'own'],
      mark: both,
      account: absent,
      plan: write({ kept: ['corp'], removed: ['own'], mark: { rules: ['corp'] } }),
    },
    {
      name: 'whose account does not exist gets the secrets of the rules',
      account: absent,
      plan: write({ added: [ruled('corp')], mark: { rules: ['corp'] } }),
    },
    {
      name: 'keeps what an earlier pass found for an account that cannot be looked up',
      account: unknown,
      list: ['corp', 'own'],
      mark: both,
      plan: write({ kept: ['corp', 'own'], mark: both, notices: [{ reason: 'account-unknown' }] }),
    },
  ]);
});

describe('an account that allows only listed secrets', () => {
  const notPermitted = { reason: 'secrets-enforced', notPermitted: ['corp'] } as const;
  expectPlans([
    { name: 'rejects a secret that it does not list', account: allowsOnly('own'), plan: write({ notices: [notPermitted] }) },
    {
      name: 'accepts a secret that it lists',
      account: allowsOnly('own', 'corp'),
      plan: write({ added: [ruled('corp'), accounted('own')], mark: both }),
    },
    { name: 'does not matter if the secret is user-supplied', account: allowsOnly(), list: ['corp'], plan: write({ kept: ['corp'] }) },
    {
      name: 'removes ours from a template',
      account: allowsOnly(),
      list: ['corp'],
      mark: { rules: ['corp'] },
      plan: write({ removed: ['corp'], notices: [notPermitted] }),
    },
    {
      name: 'removes nothing from a Pod',
      stage: 'pod',
      account: allowsOnly(),
      list: ['corp'],
      mark: { rules: ['corp'] },
      plan: write({ kept: ['corp'], mark: { rules: ['corp'] } }),
    },
    {
      name: 'rejects everything while its list is too large to be known',
      stage: 'pod',
      account: tooLargeAndStrict,
      list: ['a'],
      plan: write({ kept: ['a'], notices: [{ ...notPermitted, tooLarge: 'it is long' }] }),
    },
  ]);
});

describe('an account whose list is too large leaves to the API server', () => {
  const left: PullSecretPlan = { ...unchanged, notices: [{ reason: 'account-too-large', tooLarge: 'it is long' }] };
  const cleared = write({ removed: ['corp', 'own'], notices: left.notices });
  const marked = { list: ['corp', 'own'], mark: both };
  expectPlans([
    { name: 'a new template', account: tooLarge, plan: left },
    {
      name: 'an old template with what an earlier pass wrote',
      account: tooLarge,
      ...marked,
      old: old({ restUnchanged: false, sentMark: both }),
      plan: left,
    },
    {
      name: 'an old template with another account, without ours',
      account: tooLarge,
      ...marked,
      old: old({ restUnchanged: false, sentMark: both, sameAccount: false }),
      plan: cleared,
    },
    { name: 'a template without ours, if it allows only listed secrets', account: tooLargeAndStrict, ...marked, plan: cleared },
    {
      name: 'no template with a user-supplied list',
      account: tooLarge,
      list: ['mine'],
      plan: write({ kept: ['mine'], added: [ruled('corp')], mark: { rules: ['corp'] } }),
    },
  ]);
});

describe('an update of a template', () => {
  expectPlans([
    { name: 'that changes nothing stays unchanged, although a secret is missing', old: 'unchanged', plan: unchanged },
    { name: 'that lost our entries and the mark gets both back', old: old(), plan: restore(ruled('corp'), accounted('own')) },
    {
      name: 'that lost one of our entries gets it back',
      list: ['own'],
      mark: both,
      old: old({ sentMark: both }),
      plan: restore(ruled('corp')),
    },
    {
      name: 'that lost only the mark gets it back',
      list: ['own'],
      old: old({ list: ['own'], mark: { serviceAccount: ['own'] }, sentMark: { serviceAccount: ['own'] } }),
      plan: restore(),
    },
    {
      name: 'whose list is the same gets the mark back, however the update changed it',
      list: ['corp', 'own'],
      mark: { rules: ['own'] },
      old: old({ listUnchanged: true, sentMark: { rules: ['own'] } }),
      plan: restore(),
    },
    {
      name: 'whose list is the same, and that changes something else, is planned again',
      list: ['corp', 'own'],
      old: old({ listUnchanged: true, restUnchanged: false }),
      plan: write({ kept: ['corp', 'own'] }),
    },
    {
      name: 'whose list is the same, and that had no mark, is planned again',
      list: ['corp', 'own'],
      mark: { rules: ['corp'] },
      old: old({ listUnchanged: true, mark: {}, sentMark: { rules: ['corp'] } }),
      plan: write({ kept: ['corp', 'own'], mark: { rules: ['corp'] } }),
    },
    {
      name: 'that lost a secret which no rule contains any more gets it back',
      wanted: [],
      old: old({ list: ['gone'], mark: { rules: ['gone'] } }),
      plan: restore(ruled('gone')),
    },
    {
      name: 'that lost ours next to user-supplied entries gets ours back',
      list: ['mine'],
      old: old({ list: ['mine', 'corp'] }),
      plan: restore(ruled('corp')),
    },
    {
      name: 'that has a mark whose names have become user-supplied is compared by its annotation',
      list: ['corp'],
      old: old({ sentMark: both }),
      plan: restore(accounted('own')),
    },
    {
      name: 'that lost a user-supplied entry too is planned again',
      old: old({ list: ['mine', 'corp'] }),
      plan: write({ added: [ruled('corp'), accounted('own')], mark: both }),
    },
    {
      name: 'that reorders user-supplied entries is planned again',
      list: ['b', 'a'],
      old: old({ list: ['a', 'b', 'corp'] }),
      plan: write({ kept: ['b', 'a'], added: [ruled('corp')], mark: { rules: ['corp'] } }),
    },
    {
      name: 'that changes more than the name of a user-supplied entry is planned again',
      list: ['mine'],
      old: old({ list: ['mine', 'corp'], changedEntries: new Set(['mine']) }),
      plan: write({ kept: ['mine'], added: [ruled('corp')], mark: { rules: ['corp'] } }),
    },
    {
      name: 'that lost an entry of ours with additional fields gets it back with them',
      old: old({ changedEntries: new Set(['corp']) }),
      plan: restore(ruled('corp'), accounted('own')),
    },
    {
      name: 'that adds a marked name which was not listed is planned again',
      list: ['corp'],
      mark: { rules: ['corp'] },
      old: old({ list: [], mark: {}, sentMark: { rules: ['corp'] } }),
      plan: write({ kept: ['corp'], added: [accounted('own')], mark: both }),
    },
    {
      name: 'that lists our secret without the mark makes it user-supplied',
      list: ['corp', 'own'],
      old: old(),
      plan: write({ kept: ['corp', 'own'] }),
    },
    {
      name: 'that changes the rest too is planned again',
      old: old({ restUnchanged: false }),
      plan: write({ added: [ruled('corp'), accounted('own')], mark: both }),
    },
    {
      name: 'that only adds a stale entry restores the old template, with exactly the previous mark',
      list: ['stale'],
      mark: { rules: ['stale'] },
      wanted: [],
      old: old({ list: [], mark: {}, sentMark: { rules: ['stale'] } }),
      plan: restore(),
    },
    {
      name: 'that adds a stale entry and needs a secret that the old template did not have gets it',
      list: ['stale'],
      mark: { rules: ['stale'] },
      account: knows(),
      old: old({ list: ['stale'], mark: {}, sentMark: { rules: ['stale'] } }),
      plan: write({ removed: ['stale'], added: [ruled('corp')], mark: { rules: ['corp'] } }),
    },
    {
      name: 'that adds a stale entry and changes the rest only loses that entry',
      list: ['stale'],
      mark: { rules: ['stale'] },
      wanted: [],
      old: old({ list: [], mark: {}, sentMark: { rules: ['stale'] }, restUnchanged: false }),
      plan: write({ removed: ['stale'] }),
    },
    {
      name: 'that replaces an entry of ours with a stale one restores the old template',
      list: ['stale', 'own'],
      mark: { rules: ['stale'], serviceAccount: ['own'] },
      old: old({ sentMark: { rules: ['stale'], serviceAccount: ['own'] } }),
      plan: restore(ruled('corp')),
    },
    {
      name: 'that adds a stale entry and changes more than the name of a user-supplied entry keeps that change',
      list: ['mine', 'stale'],
      mark: { rules: ['stale'] },
      wanted: [],
      old: old({ list: ['mine'], mark: {}, sentMark: { rules: ['stale'] }, changedEntries: new Set(['mine']) }),
      plan: write({ kept: ['mine'], removed: ['stale'] }),
    },
  ]);
});

describe('an update of the template of a Job', () => {
  const immutable = true;
  expectPlans([
    { immutable, name: 'that lost only ours gets it back', old: old(), plan: restore(ruled('corp'), accounted('own')) },
    {
      immutable,
      name: 'that lost ours and changes what can change while suspended gets ours back',
      old: old({ restUnchanged: false }),
      plan: restore(ruled('corp'), accounted('own')),
    },
    { immutable, name: 'that changes the list is left to the API server, which rejects it', list: ['mine'], old: old(), plan: unchanged },
    { immutable, name: 'that never had a secret gets none', old: old({ list: ['mine'], mark: {} }), plan: unchanged },
  ]);
});
