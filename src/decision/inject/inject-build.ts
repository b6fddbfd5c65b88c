/**
 * Injects pull and push secrets into a BuildConfig or Build. Each field has one name, so one secret is chosen for all images of the field.
 *
 * An explicit pullSecret disables the builder account's own secrets, including that for the internal registry (openshift-controller-manager,
 * openshift-apiserver). So if an image is or may be internal, a secret is set only for the build strategy's own image. It is never set for
 * an image stream: the builder account, or the reference policy of the stream, provides the credential.
 */
import { quote } from '../../image/problem.ts';
import { injectedAnnotation, readBuildMark, renderBuildMark } from '../../object/injection-mark.ts';
import { isObject, type JsonObject, type Path, renderPath, textAt, valueAt } from '../../object/json.ts';
import type { BuildCredential, BuildShape, ImageSlot } from '../../object/object-shape.ts';
import { userSuppliedPaths } from '../../object/user-supplied.ts';
import { getOrCreate } from '../../rules/match/namespace-index.ts';
import { secretsOf } from '../../rules/rule-secrets.ts';
import type { Rule } from '../../rules/rule-set.ts';
import type { ChangeRequest, ImageDecision, Injection, Notice } from '../decision.ts';
import { type Availability, availabilities } from '../missing-secrets.ts';
import { annotate } from './annotate.ts';
import type { InjectionResult } from './inject-pod.ts';
import { add, type PatchOperation, remove } from './patch.ts';

/** A secret that is certainly missing is left out. A build's pod mounts its secrets, so it would wait for a missing one. */
export function injectIntoBuild(
  request: ChangeRequest,
  shape: BuildShape,
  images: readonly ImageDecision[],
  availability: AvailabilityOf,
): InjectionResult {
  if (shape.readOnlyBecause) return restoreOurs(request, shape);
  const root = request.object as JsonObject;
  const patch: PatchOperation[] = [];
  const injected: Injection[] = [];
  const listed: (string | undefined)[] = [];
  const notices: Notice[] = [];
  const mark = new Map<string, string>();
  const bySlot = new Map(images.map((image) => [image.slot, image]));
  const secretsFor = secretSets(availability);
  const isOurs = findOurs(shape);
  let cached: ReadonlySet<string> | undefined;
  const userSupplied = () => {
    cached ??= userSuppliedPaths(
      root,
      shape.credentials.map(({ path }) => path),
    );
    return cached;
  };

  for (const credential of shape.credentials) {
    const path = renderPath(credential.path);
    if (credential.current !== undefined && !isOurs(credential)) {
      listed.push(credential.current);
      continue;
    }

    const choice = chooseSecret(credential, bySlot, secretsFor);
    notices.push(...choice.notices);
    listed.push(choice.secret);
    // A field that the user's file sets is user-supplied, even if it was cleared or moved since: the next pass would treat it so.
    if (choice.secret !== undefined && !userSupplied().has(path)) mark.set(path, choice.secret);
    if (choice.secret === credential.current) continue;
    if (choice.secret === undefined) {
      patch.push(remove(credential.path));
    } else {
      patch.push(put(root, credential.path, choice.secret));
      injected.push({ path, secret: choice.secret, from: 'rule' });
    }
  }
  patch.push(...removeOrphans(root, shape));
  patch.push(...annotate(root, ['metadata'], injectedAnnotation, mark.size > 0 ? renderBuildMark(mark) : undefined));
  return { kind: 'injected', patch, injected, listed, notices };
}

/**
 * For a Build that exists. Its spec cannot change, so the API server would deny the user's own file, which lacks what we wrote. Our
 * pushSecret, which could change, is restored too: it belongs to an image that cannot.
 */
function restoreOurs({ object, oldObject }: ChangeRequest, { credentials }: BuildShape): InjectionResult {
  const root = object as JsonObject;
  const mark = readBuildMark(oldObject, ['metadata']);
  const lost = credentials.flatMap(({ path, current }) => {
    const ours = mark.get(renderPath(path));
    return ours !== undefined && current === undefined && valueAt(oldObject, [...path, 'name']) === ours ? [{ path, secret: ours }] : [];
  });
  const listed = [...credentials.map(({ current }) => current), ...lost.map(({ secret }) => secret)];
  if (lost.length === 0) return { kind: 'injected', patch: [], injected: [], listed, notices: [] };
  return {
    kind: 'injected',
    patch: [
      ...lost.map(({ path, secret }) => put(root, path, secret)),
      ...annotate(root, ['metadata'], injectedAnnotation, textAt(oldObject, ['metadata', 'annotations', injectedAnnotation])),
    ],
    injected: lost.map(({ path, secret }) => ({ path: renderPath(path), secret, from: 'rule' })),
    listed,
    notices: [],
  };
}

/**
 * Whether we set the secret of a credential: at its path, or at a path that an edit has moved it from. One pass over the mark and one over
 * the credentials, since a user can make both long.
 */
function findOurs({ mark, credentials }: BuildShape): (credential: BuildCredential) => boolean {
  if (mark.size === 0) return () => false;
  const secrets = new Map(credentials.map(({ path, current }) => [renderPath(path), current]));
  const moved = [...mark].filter(([path, secret]) => secrets.get(path) !== secret);
  const movedFrom = new Set(moved.map(([path, secret]) => `${normalizePath(path)} ${secret}`));
  return ({ path, current }) => {
    const rendered = renderPath(path);
    return current !== undefined && (mark.get(rendered) === current || movedFrom.has(`${normalizePath(rendered)} ${current}`));
  };
}

/** The path without the parts that edits change: the strategy, and the index in a list, which shifts when an earlier image is removed. */
function normalizePath(path: string): string {
  return path.replace(/\[\d+\]/, '[]').replace(/^spec\.strategy\.\w+/, 'spec.strategy');
}

type Choice = { readonly secret: string | undefined; readonly notices: readonly Notice[] };

function chooseSecret(credential: BuildCredential, images: ReadonlyMap<ImageSlot, ImageDecision>, secretsFor: SecretsFor): Choice {
  const served = credential.slots.flatMap((slot) => images.get(slot) ?? []);
  // A stream's image whose secret is missing counts too, since the builder account may have that secret.
  const candidates = served
    .map((image) => ({ image, secrets: secretsFor(image) }))
    .filter(({ image, secrets }) => secrets.size > 0 || (image.stream && needsSecret(image)));
  const direct = candidates.filter(({ image }) => !image.stream);
  const [first] = direct;
  if (!first) return { secret: undefined, notices: [] };

  const base = direct.find(({ image }) => image.slot === credential.base);
  const sets = [...new Set(candidates.map(({ secrets }) => secrets))];
  const common = [...first.secrets].find((secret) => sets.every((secrets) => secrets.has(secret)));
  const path = renderPath(credential.path);
  const mayBeInternal =
    credential.unseenImages ||
    served.some(({ verdict, trustedBy }) => verdict === 'unresolved' || trustedBy.some(({ internal }) => internal));
  if (mayBeInternal) {
    const secret = credential.baseInStrategy && base ? (common ?? firstOf(base.secrets)) : undefined;
    const uncovered = candidates.filter(({ secrets }) => secret === undefined || !secrets.has(secret)).map(({ image }) => image);
    // No notice in the usual case: the strategy names the base image, only the Dockerfile in Git is unseen, and no image lacks a secret.
    const quiet = secret !== undefined && uncovered.length === 0 && served.length === 1;
    return { secret, notices: quiet ? [] : [{ reason: 'build-internal-images', message: internalWarning(path, secret, uncovered) }] };
  }

  if (common !== undefined) return { secret: common, notices: [] };
  // If a stream's image needs another secret, the builder account may have it.
  const chosen = candidates.some(({ image }) => image.stream !== undefined) ? base : (base ?? first);
  if (!chosen)
    return {
      secret: undefined,
      notices: [
        {
          reason: 'build-other-images',
          message: emptyWarning(
            path,
            direct.map(({ image }) => image),
          ),
        },
      ],
    };
  const secret = firstOf(chosen.secrets);
  const uncovered = candidates.filter(({ secrets }) => !secrets.has(secret ?? '')).map(({ image }) => image);
  // The advice first: the API server truncates long warnings.
  const message = `${path} can reference only one secret, so "${secret}" was chosen. Ask the owners of the rules to use one secret for all registries of this build.${withoutSecret(uncovered)}`;
  return { secret, notices: [{ reason: 'build-other-images', message }] };
}

function emptyWarning(path: string, images: readonly ImageDecision[]): string {
  return `${path} was left empty, because an image stream of this build needs a different secret, which the builder service account may have.${withoutSecret(images)}`;
}

function internalWarning(path: string, secret: string | undefined, uncovered: readonly ImageDecision[]): string {
  const consequence =
    secret === undefined
      ? `${path} was left empty, because other images of this build may come from the internal registry and need the secrets of the builder service account.`
      : `${path} is "${secret}", so images of this build from the internal registry are pulled without the secrets of the builder service account.`;
  return consequence + withoutSecret(uncovered);
}

/** Last in a message, since a build may have many images. */
function withoutSecret(images: readonly ImageDecision[]): string {
  return images.length === 0 ? '' : ` Images without a secret: ${images.map(written).join(', ')}.`;
}

function needsSecret({ slot: { action }, trustedBy }: ImageDecision): boolean {
  return trustedBy.some((rule) => secretsOf(rule, action).length > 0);
}

type AvailabilityOf = (secret: string) => Availability;

type SecretsFor = (image: ImageDecision) => ReadonlySet<string>;

/**
 * The secrets that the rules specify for an image and that are not missing, those that exist first, then in the order of the rules. Images
 * with the same rules share one set, since both can be many.
 */
function secretSets(availability: AvailabilityOf): SecretsFor {
  const usable = (rules: readonly Rule[], action: 'pull' | 'push') => {
    const byAvailability = Map.groupBy(
      rules.flatMap((rule) => secretsOf(rule, action)),
      availability,
    );
    return new Set(availabilities.flatMap((each) => (each === 'missing' ? [] : (byAvailability.get(each) ?? []))));
  };
  const byRule = { pull: new Map<Rule, ReadonlySet<string>>(), push: new Map<Rule, ReadonlySet<string>>() };
  const numbers = new Map<Rule, number>();
  const sets = new Map<string, ReadonlySet<string>>();
  return ({ slot: { action }, trustedBy }) => {
    const [only, ...others] = trustedBy;
    if (only && others.length === 0) return getOrCreate(byRule[action], only, () => usable([only], action));
    const key = `${action} ${trustedBy.map((rule) => getOrCreate(numbers, rule, () => numbers.size)).join(' ')}`;
    return getOrCreate(sets, key, () => usable(trustedBy, action));
  };
}

function firstOf(secrets: ReadonlySet<string>): string | undefined {
  const [first] = secrets;
  return first;
}

function written({ slot }: ImageDecision): string {
  return slot.content.kind === 'image' ? quote(slot.content.text) : slot.displayName;
}

/** Removes our secrets whose image is gone, such as a pushSecret without `output.to`: they would disable the account's own secrets. */
function removeOrphans(root: JsonObject, shape: BuildShape): readonly PatchOperation[] {
  if (shape.mark.size === 0) return [];
  const live = new Set(shape.credentials.map(({ path }) => renderPath(path)));
  const orphans = possibleOrphans(root).filter((path) => !live.has(renderPath(path)));
  return orphans
    .filter((path) => {
      const name = valueAt(root, [...path, 'name']);
      return typeof name === 'string' && shape.mark.get(renderPath(path)) === name;
    })
    .map(remove);
}

function possibleOrphans(root: JsonObject): readonly Path[] {
  const images = valueAt(root, ['spec', 'source', 'images']);
  return [
    ['spec', 'output', 'pushSecret'],
    ...(Array.isArray(images) ? images.map((_image, index): Path => ['spec', 'source', 'images', index, 'pullSecret']) : []),
  ];
}

function put(root: JsonObject, path: Path, secret: string): PatchOperation {
  const current = valueAt(root, path);
  if (!isObject(current)) return add(path, { name: secret });
  return add([...path, 'name'], secret);
}
