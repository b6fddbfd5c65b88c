/**
 * BuildConfig of build.openshift.io.
 *
 * Fields read: `spec.strategy.{sourceStrategy,dockerStrategy,customStrategy}.{from,pullSecret}`, `spec.strategy.dockerStrategy.buildArgs`,
 * `spec.source.dockerfile`, `spec.source.images[].{from,as,paths,pullSecret}`, `spec.output.{to,pushSecret}`.
 *
 * One `pullSecret` of the strategy serves its `from`, every FROM and COPY --from, and the `source.images` entries without `paths`; an entry
 * with `paths` is extracted beforehand with a `pullSecret` of its own (openshift/builder, openshift-controller-manager).
 */
import { type DockerfileImage, readDockerfileImages } from './dockerfile.ts';
import { isAbsent, isObject, type JsonObject, type Path, renderPath, textAt, valueAt } from './json.ts';
import { readBuildMark } from './mark.ts';
import { nameType, problemAt } from './pod.ts';
import type { BuildCredential, ImageSlot, MalformedObject, ObjectReading } from './shape.ts';

export function readBuildConfig(object: JsonObject): ObjectReading {
  const spec = valueAt(object, ['spec']);
  if (!isObject(spec)) return malformed(problemAt(['spec'], `must be a build's spec, and is ${nameType(spec)}`));

  const wrong = misshapen(spec);
  if (wrong) return malformed(wrong);

  const strategy = findStrategy(spec);
  const sources = readSourceImages(spec);
  const dockerfile = strategy?.name === 'dockerStrategy' ? readInlineDockerfile(spec, strategy, sources) : [];
  const output = readReference(spec, ['spec', 'output', 'to'], 'push');

  const credentials: BuildCredential[] = [];
  if (strategy) credentials.push(strategyCredential(spec, strategy, dockerfile, sources));
  for (const source of sources) {
    if (source.slot && source.ownSecret) credentials.push(credential(spec, [...source.path, 'pullSecret'], 'pull', [source.slot]));
  }
  if (output) credentials.push(credential(spec, ['spec', 'output', 'pushSecret'], 'push', [output]));

  return {
    kind: 'shape',
    shape: { kind: 'build', slots: credentials.flatMap(({ slots }) => slots), credentials, mark: readBuildMark(object, ['metadata']) },
  };
}

type Strategy = {
  readonly name: 'sourceStrategy' | 'dockerStrategy' | 'customStrategy';
  readonly path: Path;
  readonly from: ImageSlot | undefined;
};
type SourceImage = {
  readonly path: Path;
  readonly slot: ImageSlot | undefined;
  readonly as: readonly string[];
  readonly ownSecret: boolean;
};

const strategyNames = ['sourceStrategy', 'dockerStrategy', 'customStrategy'] as const;

/** What the typed API server would never pass on; a stray writer could. */
function misshapen(spec: JsonObject): MalformedObject | undefined {
  const objects: Path[] = [['strategy'], ...strategyNames.map((name) => ['strategy', name]), ['source'], ['output'], ['output', 'to']];
  for (const path of objects) {
    const value = valueAt(spec, path);
    if (!isAbsent(value) && !isObject(value)) return problemAt(['spec', ...path], `must be an object, and is ${nameType(value)}`);
  }
  const images = valueAt(spec, ['source', 'images']);
  if (!isAbsent(images) && !Array.isArray(images))
    return problemAt(['spec', 'source', 'images'], `must be a list, and is ${nameType(images)}`);
  const dockerfile = valueAt(spec, ['source', 'dockerfile']);
  if (!isAbsent(dockerfile) && typeof dockerfile !== 'string') {
    return problemAt(['spec', 'source', 'dockerfile'], `must be text, and is ${nameType(dockerfile)}`);
  }
  const references: Path[] = [
    ...strategyNames.map((name): Path => ['strategy', name, 'from']),
    ['output', 'to'],
    ...(images ?? []).map((_image: unknown, index: number): Path => ['source', 'images', index, 'from']),
  ];
  for (const path of references) {
    const value = valueAt(spec, path);
    if (isAbsent(value)) continue;
    if (!isObject(value)) return problemAt(['spec', ...path], `must be a reference with kind and name, and is ${nameType(value)}`);
    for (const field of ['kind', 'name']) {
      if (!isAbsent(value[field]) && typeof value[field] !== 'string') {
        return problemAt(['spec', ...path, field], `must be text, and is ${nameType(value[field])}`);
      }
    }
  }
  return undefined;
}

function findStrategy(spec: JsonObject): Strategy | undefined {
  const name = strategyNames.find((candidate) => isObject(valueAt(spec, ['strategy', candidate])));
  if (!name) return undefined;
  const path = ['spec', 'strategy', name];
  return { name, path, from: readReference(spec, [...path, 'from'], 'pull') };
}

function readSourceImages(spec: JsonObject): readonly SourceImage[] {
  const images = valueAt(spec, ['source', 'images']);
  if (!Array.isArray(images)) return [];
  return images.map((image: unknown, index) => {
    const path = ['spec', 'source', 'images', index];
    const as = valueAt(image, ['as']);
    const paths = valueAt(image, ['paths']);
    return {
      path,
      slot: readReference(spec, [...path, 'from'], 'pull'),
      as: Array.isArray(as) ? as.filter((name): name is string => typeof name === 'string') : [],
      ownSecret: Array.isArray(paths) && paths.length > 0,
    };
  });
}

function readInlineDockerfile(spec: JsonObject, strategy: Strategy, sources: readonly SourceImage[]): readonly DockerfileSlot[] {
  const text = textAt(spec, ['source', 'dockerfile']);
  if (text === undefined) return [];
  const replaced = new Set(sources.flatMap(({ as }) => as));
  return readDockerfileImages(text, readBuildArgs(spec))
    .filter((image) => !(image.lastFrom && image.instruction === 'FROM' && strategy.from))
    .filter((image) => !replaced.has(image.image ?? image.written))
    .map((image) => ({ lastFrom: image.lastFrom && image.instruction === 'FROM', slot: dockerfileSlot(image) }));
}

type DockerfileSlot = { readonly slot: ImageSlot; readonly lastFrom: boolean };

function dockerfileSlot(image: DockerfileImage): ImageSlot {
  return {
    path: ['spec', 'source', 'dockerfile'],
    holder: `${image.instruction} in line ${image.line} of the inline Dockerfile`,
    action: 'pull',
    content:
      image.image === undefined
        ? { kind: 'unresolved', why: `"${image.written}" holds a build argument without a value` }
        : { kind: 'image', text: image.image },
  };
}

function readBuildArgs(spec: JsonObject): ReadonlyMap<string, string> {
  const list = valueAt(spec, ['strategy', 'dockerStrategy', 'buildArgs']);
  const values = new Map<string, string>();
  for (const arg of Array.isArray(list) ? list : []) {
    const name = textAt(arg, ['name']);
    const value = valueAt(arg, ['value']);
    if (name !== undefined && typeof value === 'string') values.set(name, value);
  }
  return values;
}

function strategyCredential(
  spec: JsonObject,
  strategy: Strategy,
  dockerfile: readonly DockerfileSlot[],
  sources: readonly SourceImage[],
): BuildCredential {
  const shared = sources.filter(({ ownSecret }) => !ownSecret).flatMap(({ slot }) => slot ?? []);
  const slots = [...(strategy.from ? [strategy.from] : []), ...dockerfile.map(({ slot }) => slot), ...shared];
  const base = strategy.from ?? dockerfile.find(({ lastFrom }) => lastFrom)?.slot;
  return {
    ...credential(spec, [...strategy.path, 'pullSecret'], 'pull', slots),
    ...(base && { base }),
    baseInStrategy: strategy.from !== undefined,
    unseenImages: strategy.name === 'dockerStrategy' && textAt(spec, ['source', 'dockerfile']) === undefined,
  };
}

function credential(spec: JsonObject, path: Path, action: 'pull' | 'push', slots: readonly ImageSlot[]): BuildCredential {
  const current = textAt({ spec }, [...path, 'name']);
  const [base] = slots;
  return {
    path,
    action,
    ...(current !== undefined && { current }),
    slots,
    ...(base && { base }),
    baseInStrategy: true,
    unseenImages: false,
  };
}

/** A `from` or `to`: a registry name where its kind is DockerImage, else an image stream that says later what it holds. */
function readReference(spec: JsonObject, path: Path, action: 'pull' | 'push'): ImageSlot | undefined {
  const reference = valueAt({ spec }, path);
  if (!isObject(reference)) return undefined;
  const kind = textAt(reference, ['kind']);
  const name = textAt(reference, ['name']);
  if (kind === 'DockerImage') {
    const at = [...path, 'name'];
    const content =
      name === undefined || name === ' '
        ? { kind: 'unresolved' as const, why: 'no image is written' }
        : { kind: 'image' as const, text: name };
    return { path: at, holder: renderPath(path), action, content };
  }
  // A push into an image stream goes to the internal registry, with the builder account's own secret.
  if (action === 'push') return undefined;
  const why = `${kind ?? 'an image stream'} "${name ?? ''}" says what it holds when the build starts`;
  return { path: [...path, 'name'], holder: renderPath(path), action, content: { kind: 'unresolved', why } };
}

function malformed(problem: MalformedObject): ObjectReading {
  return { kind: 'malformed', problem };
}
