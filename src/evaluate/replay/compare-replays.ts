/** Compares what two rule sets do to past requests: which outcomes and secrets differ, for whom, how often, and when last. */
import { type PastRequest, type Replay, type ReplayedImage, replay } from '../../decision/replay.ts';
import { type AuditedRule, auditRule } from '../../observe/audit/audited-rule.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import { type Effect, effectOf, severityOf } from '../compare-evaluations.ts';
import { findUnaffected } from './find-unaffected.ts';
import { type ReadRecord, type RecordGap, type RequestSubject, readRecord } from './read-record.ts';

/** Requests of one kind of object that the change affects in the same way. Documented as `changes` of `diff --replay -o json`. */
export type ReplayChange = {
  readonly effect: Effect;
  readonly object: Omit<RequestSubject, 'time' | 'user'>;
  /** Images that the rules evaluate differently. */
  readonly images: readonly { readonly image: string; readonly before: ImageResult; readonly after: ImageResult }[];
  readonly imagesOmitted?: number;
  /** Pull secrets that the object would have only with the new rules, and only with the old ones. */
  readonly secretsGained: readonly string[];
  readonly secretsLost: readonly string[];
  readonly requests: number;
  readonly first: string;
  readonly last: string;
  /** The most frequent first. */
  readonly users: readonly { readonly name: string; readonly requests: number }[];
  /** Requests of users that are not shown. */
  readonly requestsOfOtherUsers?: number;
};

type ImageResult = Pick<ReplayedImage, 'verdict' | 'reason'> & { readonly rule?: AuditedRule };

export type BrokenLine = { readonly file: string; readonly line: number; readonly message: string };

export type ReplayComparison = {
  /** Newly denied ones first, then those that lose a secret. Of those with the same effect, the most frequent first. */
  readonly changes: readonly ReplayChange[];
  /** Requests with a changed outcome that `changes` does not show, because too many objects differ. */
  readonly requestsNotShown: number;
  readonly notReplayable: readonly { readonly reason: RecordGap; readonly requests: number; readonly example?: RequestSubject }[];
  /** The first ones. */
  readonly brokenLines: readonly BrokenLine[];
  readonly summary: {
    /** All requests in the records, whether they could be replayed or not. */
    readonly requests: number;
    readonly newlyDenied: number;
    readonly newlyAllowed: number;
    readonly newlyWarned: number;
    readonly noLongerWarned: number;
    readonly secretsGained: number;
    readonly secretsLost: number;
    /** Requests for which the rules specify other secrets, and whose record does not show what the object would have. */
    readonly secretsNotCompared: number;
    readonly unchanged: number;
    readonly notReplayable: number;
    readonly brokenLines: number;
    /** Records of the mutating webhook and of rules, and lines of the log. */
    readonly otherLines: number;
    /** The time of the earliest and of the latest request. Absent if there is none. */
    readonly first?: string;
    readonly last?: string;
  };
};

export type ReplayRun = {
  /** One line of an audit log. */
  add(file: string, line: number, text: string): void;
  /** A line that could not be read. */
  addBroken(broken: BrokenLine): void;
  result(): ReplayComparison;
};

/** Objects that differ. Each needs about 1 KiB. With the longest texts of a record it is 25 KiB. */
const maxChanges = 5_000;
const maxUsers = 10;
const shownUsers = 5;
const maxImages = 5;
const maxBrokenLines = 100;
/**
 * Past requests repeat: versions of the same images in the same namespace. Results of different ones are kept, up to this number of
 * characters, and those that were used last as many again.
 */
const maxRemembered = 4 * 1024 * 1024;

/** Names of secrets shown for one change. Rules can specify more. */
const maxSecrets = 10;

type Counts = Record<Effect | 'unchanged', number>;
type Group = Omit<ReplayChange, 'users' | 'requestsOfOtherUsers' | 'requests' | 'first' | 'last'> & {
  requests: number;
  first: string;
  last: string;
  readonly users: Map<string, number>;
  ofOtherUsers: number;
};

/** `now` is the time for which exemptions and ends of rules are evaluated, by both rule sets. */
export function compareReplays(before: RuleSet, after: RuleSet, now: () => number): ReplayRun {
  const counts: Counts = { 'newly-denied': 0, 'newly-allowed': 0, 'newly-warned': 0, 'no-longer-warned': 0, secrets: 0, unchanged: 0 };
  const secretCounts = { gained: 0, lost: 0, notCompared: 0 };
  const gaps = new Map<RecordGap, { requests: number; readonly example?: RequestSubject }>();
  const groups = new Map<string, Group>();
  const isUnaffected = findUnaffected(before, after);
  const brokenLines: BrokenLine[] = [];
  let remembered = new Map<string, ComparedRequest>();
  let rememberedEarlier: ReadonlyMap<string, ComparedRequest> = new Map();
  let rememberedCharacters = 0;
  let requestsNotShown = 0;
  let broken = 0;
  let otherLines = 0;
  let first: string | undefined;
  let last: string | undefined;

  function compare(request: PastRequest): ComparedRequest {
    if (isUnaffected(request)) return unchanged;
    const key = keyOf(request);
    const known = remembered.get(key);
    if (known) return known;
    if (rememberedCharacters > maxRemembered) {
      rememberedEarlier = remembered;
      remembered = new Map();
      rememberedCharacters = 0;
    }
    const compared = rememberedEarlier.get(key) ?? compareRequest(request, before, after, now);
    remembered.set(key, compared);
    rememberedCharacters += key.length + 100;
    return compared;
  }

  function addRecord(record: Exclude<ReadRecord, { kind: 'other' | 'broken' }>): void {
    const { subject } = record;
    if (subject) {
      if (first === undefined || subject.time < first) first = subject.time;
      if (last === undefined || subject.time > last) last = subject.time;
    }
    const compared = record.kind === 'request' ? compare(record.request) : record;
    switch (compared.kind) {
      case 'gap':
        addGap(compared.gap, subject);
        break;
      case 'without-images':
        counts.unchanged += 1;
        break;
      case 'compared':
        counts[compared.effect ?? 'unchanged'] += 1;
        if (compared.secretsGained.length > 0) secretCounts.gained += 1;
        if (compared.secretsLost.length > 0) secretCounts.lost += 1;
        if (compared.secretsNotCompared) secretCounts.notCompared += 1;
        if (compared.effect && record.kind === 'request') addChange(compared, compared.effect, record);
    }
  }

  function addGap(gap: RecordGap, example: RequestSubject | undefined): void {
    const known = gaps.get(gap);
    if (known) known.requests += 1;
    else gaps.set(gap, { requests: 1, ...(example && { example }) });
  }

  function addChange(
    { images: differing, secretsGained, secretsLost }: ComparedRequest & { kind: 'compared' },
    effect: Group['effect'],
    { subject: { time, user, ...object }, written }: ReadRecord & { kind: 'request' },
  ): void {
    const { images, imagesOmitted } = showImages(differing, written);
    // The name of a Pod is random, and that of its owner is what people know.
    const { owner, ...named } = object;
    const about = owner ? { ...named, name: '', owner } : object;
    const key = JSON.stringify([effect, about, images, secretsGained, secretsLost]);
    const group = groups.get(key) ?? {
      effect,
      object: about,
      images,
      ...(imagesOmitted > 0 && { imagesOmitted }),
      secretsGained,
      secretsLost,
      requests: 0,
      first: time,
      last: time,
      users: new Map(),
      ofOtherUsers: 0,
    };
    if (!groups.has(key) && groups.size >= maxChanges) {
      requestsNotShown += 1;
      return;
    }
    groups.set(key, group);
    group.requests += 1;
    if (time < group.first) group.first = time;
    if (time > group.last) group.last = time;
    if (group.users.has(user) || group.users.size < maxUsers) group.users.set(user, (group.users.get(user) ?? 0) + 1);
    else group.ofOtherUsers += 1;
  }

  function addBroken(line: BrokenLine): void {
    broken += 1;
    if (brokenLines.length < maxBrokenLines) brokenLines.push(line);
  }

  return {
    add(file, line, text) {
      const record = readRecord(text);
      if (record.kind === 'broken') addBroken({ file, line, message: record.message });
      else if (record.kind === 'other') otherLines += 1;
      else addRecord(record);
    },
    addBroken,
    result() {
      const notReplayable = [...gaps].map(([reason, gap]) => ({ reason, ...gap })).sort((one, another) => another.requests - one.requests);
      const requestsWithGap = notReplayable.reduce((sum, { requests }) => sum + requests, 0);
      return {
        changes: [...groups.values()].map(changeOf).sort(byImportance),
        requestsNotShown,
        notReplayable,
        brokenLines,
        summary: {
          requests: Object.values(counts).reduce((sum, count) => sum + count, 0) + requestsWithGap,
          newlyDenied: counts['newly-denied'],
          newlyAllowed: counts['newly-allowed'],
          newlyWarned: counts['newly-warned'],
          noLongerWarned: counts['no-longer-warned'],
          secretsGained: secretCounts.gained,
          secretsLost: secretCounts.lost,
          secretsNotCompared: secretCounts.notCompared,
          unchanged: counts.unchanged,
          notReplayable: requestsWithGap,
          brokenLines: broken,
          otherLines,
          ...(first !== undefined && { first }),
          ...(last !== undefined && { last }),
        },
      };
    },
  };
}

type ComparedRequest =
  | {
      readonly kind: 'compared';
      readonly effect: Group['effect'] | undefined;
      /** Images that the rules evaluate differently, by their index in the request. */
      readonly images: readonly DifferingImage[];
      readonly secretsGained: readonly string[];
      readonly secretsLost: readonly string[];
      readonly secretsNotCompared: boolean;
    }
  | { readonly kind: 'gap'; readonly gap: RecordGap };

type DifferingImage = { readonly index: number; readonly before: ImageResult; readonly after: ImageResult; readonly key: string };

function compareRequest(request: PastRequest, before: RuleSet, after: RuleSet, now: () => number): ComparedRequest {
  const [old, current] = [replay(request, before, now), replay(request, after, now)];
  if (old.kind === 'unknown') return { kind: 'gap', gap: old.gap };
  if (current.kind === 'unknown') return { kind: 'gap', gap: current.gap };
  const secrets = changedSecrets(old, current);
  const effect =
    effectOf(old.outcome, current.outcome) ?? (secrets.secretsGained.length + secrets.secretsLost.length > 0 ? 'secrets' : undefined);
  if (!effect) return secrets.secretsNotCompared ? unknownSecrets : unchanged;
  return { kind: 'compared', effect, images: differingImages(old, current), ...secrets };
}

const sameSecrets = { secretsGained: [], secretsLost: [], secretsNotCompared: false };
const unchanged: ComparedRequest = { kind: 'compared', effect: undefined, images: [], ...sameSecrets };
const unknownSecrets: ComparedRequest = { ...unchanged, secretsNotCompared: true };

/** A denied object is not stored, so it gains and loses no secrets. */
function changedSecrets(old: Replayed, current: Replayed): Pick<ComparedRequest & { kind: 'compared' }, keyof typeof sameSecrets> {
  if (current.outcome === 'denied' || sameNames(old.secrets.specified, current.secrets.specified)) return sameSecrets;
  const [before, after] = [old.secrets.added, current.secrets.added];
  if (!before || !after) return { ...sameSecrets, secretsNotCompared: true };
  const without = (names: readonly string[], others: readonly string[]) =>
    names.filter((name) => !others.includes(name)).slice(0, maxSecrets);
  return { secretsGained: without(after, before), secretsLost: without(before, after), secretsNotCompared: false };
}

function sameNames(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name) => other.includes(name));
}

type Replayed = Replay & { kind: 'replayed' };

/** If only a setting differs, such as `mode`, the images that are not allowed. */
function differingImages(old: Replayed, current: Replayed): readonly DifferingImage[] {
  const pairs = current.images.flatMap((after, index) => {
    const before = old.images[index];
    return before ? [{ index, before, after }] : [];
  });
  const differing = pairs.filter(
    ({ before, after }) => keyOfResult(before) !== keyOfResult(after) || !sameNames(before.secrets, after.secrets),
  );
  const shown = differing.length > 0 ? differing : pairs.filter(({ after }) => after.outcomeBeforeMode !== 'allowed');
  return shown.map(({ index, before, after }) => ({
    index,
    before: resultOf(before),
    after: resultOf(after),
    key: JSON.stringify([keyOfResult(before), keyOfResult(after)]),
  }));
}

/** Each image once. */
function showImages(
  differing: readonly DifferingImage[],
  written: readonly string[],
): { readonly images: Group['images']; readonly imagesOmitted: number } {
  const byText = new Map(
    differing.map(({ index, before, after, key }) => {
      const image = written[index] ?? '';
      return [`${key}${image}`, { image, before, after }];
    }),
  );
  const shown = [...byText.values()];
  return { images: shown.slice(0, maxImages), imagesOmitted: Math.max(0, shown.length - maxImages) };
}

/** Without the position of the rule, because the two rule sets come from different files. */
function keyOfResult({ verdict, reason, rule, outcomeBeforeMode }: ReplayedImage): string {
  return JSON.stringify([verdict, reason, rule?.name, outcomeBeforeMode]);
}

function resultOf({ verdict, reason, rule }: ReplayedImage): ImageResult {
  return { verdict, reason, ...(rule && { rule: auditRule(rule) }) };
}

/** Everything that the result depends on. Each text has its length before it, so that different requests have different keys. */
function keyOf(request: PastRequest): string {
  const { operation, namespace, isPod, isStaticPod, hasSecrets, namespaceLabels, shortNames, secrets, suppliedSecrets, images } = request;
  let key = `${operation}${isPod ? ' pod' : ''}${isStaticPod ? ' static' : ''}${hasSecrets ? ' writable' : ''} ${sized(namespace)}`;
  key += suppliedSecrets ? suppliedSecrets.map(sized).join('') : '?';
  if (namespaceLabels) for (const [name, value] of namespaceLabels) key += `\n${sized(name)}${value === null ? '' : sized(value)}`;
  else key += '\n?';
  if (shortNames !== 'docker.io') key += `\nshort ${typeof shortNames === 'string' ? shortNames : shortNames.map(sized).join('')}`;
  for (const [name, state] of secrets) key += `\nsecret ${sized(name)}${state}`;
  for (const { text, scheme = '', action, introduced, imported, lookupOnly, trustedByCluster } of images)
    key += `\n${action}${introduced ? ' new' : ''}${imported ? ' imported' : ''}${lookupOnly ? ' lookup' : ''}${trustedByCluster ? ' cluster' : ''} ${sized(text)}${scheme === '' ? '' : sized(scheme)}`;
  return key;
}

function sized(text: string): string {
  return `${text.length}:${text}`;
}

function byImportance(one: ReplayChange, another: ReplayChange): number {
  return severityOf(one) - severityOf(another) || another.requests - one.requests || (one.last < another.last ? 1 : -1);
}

function changeOf({ users, ofOtherUsers, ...group }: Group): ReplayChange {
  const sorted = [...users].sort(([, one], [, another]) => another - one);
  const rest = sorted.slice(shownUsers).reduce((sum, [, requests]) => sum + requests, ofOtherUsers);
  return {
    ...group,
    users: sorted.slice(0, shownUsers).map(([name, requests]) => ({ name, requests })),
    ...(rest > 0 && { requestsOfOtherUsers: rest }),
  };
}
