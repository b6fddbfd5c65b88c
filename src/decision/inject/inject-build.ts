/**
 * Pull and push secrets of a BuildConfig or Build: each place holds one name, so one secret is chosen for all the images it serves.
 *
 * An explicit pullSecret switches off the builder account's own secrets, among them the one for the internal registry
 * (openshift-controller-manager, openshift-apiserver), so where an image is or may be internal only the build strategy's own image
 * justifies one. An image stream never justifies one: the builder account, or the stream's own policy, has what it needs.
 */
import { quote } from '../../image/problem.ts';
import { isObject, type JsonObject, type Path, renderPath, valueAt } from '../../object/json.ts';
import { renderBuildMark } from '../../object/mark.ts';
import type { BuildCredential, BuildShape, ImageSlot } from '../../object/object-shape.ts';
import { userSuppliedSlots } from '../../object/user-supplied.ts';
import type { ChangeRequest, ImageDecision, Injection, Notice } from '../decision.ts';
import { annotate } from './annotate.ts';
import type { InjectionResult } from './inject-pod.ts';
import { add, type PatchOperation, remove } from './patch.ts';

export function injectIntoBuild(request: ChangeRequest, shape: BuildShape, images: readonly ImageDecision[]): InjectionResult {
  if (shape.untouchable) return { kind: 'injected', patch: [], injected: [], notices: [] };
  const root = request.object as JsonObject;
  const patch: PatchOperation[] = [];
  const injected: Injection[] = [];
  const notices: Notice[] = [];
  const mark = new Map<string, string>();
  const bySlot = new Map(images.map((image) => [image.slot, image]));
  const isOurs = findOurs(shape);
  let known: ReadonlySet<string> | undefined;
  const authored = () => {
    known ??= userSuppliedSlots(
      root,
      shape.credentials.map(({ path }) => path),
    );
    return known;
  };

  for (const credential of shape.credentials) {
    const path = renderPath(credential.path);
    if (credential.current !== undefined && !isOurs(credential)) continue;

    const choice = chooseSecret(credential, bySlot);
    notices.push(...choice.notices);
    // A place that the author's file fills is the author's, also where it was emptied or moved since: the next pass would call it so.
    if (choice.secret !== undefined && !authored().has(path)) mark.set(path, choice.secret);
    if (choice.secret === credential.current) continue;
    if (choice.secret === undefined) {
      patch.push(remove(credential.path));
    } else {
      patch.push(put(root, credential.path, choice.secret));
      injected.push({ path, secret: choice.secret, from: 'rule' });
    }
  }
  patch.push(...removeOrphans(root, shape));
  patch.push(...annotate(root, ['metadata'], mark.size > 0 ? renderBuildMark(mark) : undefined));
  return { kind: 'injected', patch, injected, notices };
}

/**
 * Tells of a credential whether we wrote what stands there: there, or in a place that an edit has moved it from. One pass over mark and
 * places each, since a stranger can make both long.
 */
function findOurs({ mark, credentials }: BuildShape): (credential: BuildCredential) => boolean {
  const standing = new Map(credentials.map(({ path, current }) => [renderPath(path), current]));
  const moved = [...mark].filter(([place, secret]) => standing.get(place) !== secret);
  const lookedFor = new Set(moved.map(([place, secret]) => `${placesAlike(place)} ${secret}`));
  return ({ path, current }) => {
    const place = renderPath(path);
    return current !== undefined && (mark.get(place) === current || lookedFor.has(`${placesAlike(place)} ${current}`));
  };
}

/** An edit renames the strategy with everything in it, or takes an image out of the list, so that the next ones move up. */
function placesAlike(place: string): string {
  return place.replace(/\[\d+\]/, '[]').replace(/^spec\.strategy\.\w+/, 'spec.strategy');
}

type Choice = { readonly secret: string | undefined; readonly notices: readonly Notice[] };

function chooseSecret(credential: BuildCredential, images: ReadonlyMap<ImageSlot, ImageDecision>): Choice {
  const served = credential.slots.flatMap((slot) => images.get(slot) ?? []);
  const wishes = served.map((image) => ({ image, secrets: secretsFor(image) })).filter(({ secrets }) => secrets.length > 0);
  const asking = wishes.filter(({ image }) => !image.stream);
  const [first] = asking;
  if (!first) return { secret: undefined, notices: [] };

  const base = asking.find(({ image }) => image.slot === credential.base);
  const common = first.secrets.find((candidate) => wishes.every(({ secrets }) => secrets.includes(candidate)));
  const place = renderPath(credential.path);
  const mayBeInternal =
    credential.unseenImages ||
    served.some(({ verdict, trustedBy }) => verdict === 'unresolved' || trustedBy.some(({ internal }) => internal));
  if (mayBeInternal) {
    const secret = credential.baseInStrategy && base ? (common ?? base.secrets[0]) : undefined;
    const uncovered = wishes.filter(({ secrets }) => secret === undefined || !secrets.includes(secret)).map(({ image }) => image);
    // Nothing is known to lack anything when only a Dockerfile in Git is unseen and the strategy names its base: the usual case, no words.
    const quiet = secret !== undefined && uncovered.length === 0 && served.length === 1;
    return { secret, notices: quiet ? [] : [{ reason: 'build-internal-images', message: internalWarning(place, secret, uncovered) }] };
  }

  if (common !== undefined) return { secret: common, notices: [] };
  // A stream's image that needs another secret may have it from the builder account.
  const taken = wishes.some(({ image }) => image.stream !== undefined) ? base : (base ?? first);
  if (!taken)
    return {
      secret: undefined,
      notices: [
        {
          reason: 'build-other-images',
          message: emptyWarning(
            place,
            asking.map(({ image }) => image),
          ),
        },
      ],
    };
  const secret = taken.secrets[0];
  const uncovered = wishes.filter(({ secrets }) => !secrets.includes(secret ?? '')).map(({ image }) => image);
  // The advice first: the API server cuts a long warning.
  const message = `${place} has room for one secret, "${secret}": put the credentials of all registries of this build into one, and name it in each rule. Not served: ${uncovered.map(written).join(', ')}`;
  return { secret, notices: [{ reason: 'build-other-images', message }] };
}

function emptyWarning(place: string, asking: readonly ImageDecision[]): string {
  return `${place} was left empty, since an image stream of the build needs another secret, which the builder account may have; no secret for ${asking.map(written).join(', ')}`;
}

function internalWarning(place: string, secret: string | undefined, uncovered: readonly ImageDecision[]): string {
  const consequence =
    secret === undefined
      ? `${place} was left empty, since other images of the build may come from the internal registry and need the builder account's own secrets`
      : `${place} is "${secret}", so other images of the build that come from the internal registry are pulled without the builder account's own secrets`;
  return uncovered.length === 0 ? consequence : `${consequence}; no secret for ${uncovered.map(written).join(', ')}`;
}

function secretsFor(image: ImageDecision): readonly string[] {
  const { action } = image.slot;
  const secrets = image.trustedBy.flatMap(({ pullSecrets, pushSecret }) => (action === 'pull' ? pullSecrets : (pushSecret ?? [])));
  return [...new Set(secrets)];
}

function written({ slot }: ImageDecision): string {
  return slot.content.kind === 'image' ? quote(slot.content.text) : slot.holder;
}

/** Our value in a place whose image is gone, such as a pushSecret after `output.to` was taken out, would turn off the account's fallback. */
function removeOrphans(root: JsonObject, shape: BuildShape): readonly PatchOperation[] {
  const live = new Set(shape.credentials.map(({ path }) => renderPath(path)));
  const orphans = orphanPlaces(root).filter((path) => !live.has(renderPath(path)));
  return orphans
    .filter((path) => {
      const name = valueAt(root, [...path, 'name']);
      return typeof name === 'string' && shape.mark.get(renderPath(path)) === name;
    })
    .map(remove);
}

function orphanPlaces(root: JsonObject): readonly Path[] {
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
