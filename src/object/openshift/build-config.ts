/**
 * Reads the images and secrets of BuildConfig and Build (build.openshift.io).
 *
 * Fields read: `spec.strategy.{sourceStrategy,dockerStrategy,customStrategy}.{from,pullSecret}`, `spec.strategy.dockerStrategy.{buildArgs,env,dockerfilePath}`,
 * `spec.postCommit`, `spec.source.dockerfile`, `spec.source.images[].{from,as,paths,pullSecret}`, `spec.output.{to,pushSecret}`.
 *
 * The strategy's one `pullSecret` is used for its `from`, every FROM and COPY --from, and the `source.images` entries without `paths`. An
 * entry with `paths` is extracted before the build, with its own `pullSecret` (openshift/builder, openshift-controller-manager). The
 * pullSecret of a custom strategy is only mounted into the build pod. That pod gets its pull secrets when it is created.
 *
 * These fields name images that need no evaluation here:
 * - `spec.triggers[].imageChange`: the stream that starts a build. The Build that it starts is evaluated.
 * - `spec.triggeredBy` of a Build: why it was started.
 * - `strategy.sourceStrategy.incremental`: pulls the last image of `output.to` with the pushSecret. An image that may be pushed may also
 *   be pulled.
 * - `jenkinsPipelineStrategy`: its pods are evaluated as Pods.
 */
import { quote } from '../../image/problem.ts';
import { formatCount } from '../../image/wording.ts';
import { type DockerfileContext, type DockerfileImage, readDockerfileImages } from '../dockerfile/images.ts';
import { readBuildMark } from '../injection-mark.ts';
import { isAbsent, isObject, type JsonObject, type Path, textAt, valueAt } from '../json.ts';
import type { BuildCredential, BuildShape, ImageSlot, MalformedObject, ReadingContext, ShapeReading } from '../object-shape.ts';
import { metadataProblem, nameType, problemAt } from '../pod.ts';
import { withoutUserSuppliedPaths } from '../user-supplied.ts';
import type { WorkCounter } from '../work-counter.ts';
import { malformedReference, readPulledLater, readReference } from './object-reference.ts';

export function readBuildConfig(object: JsonObject, { work }: Pick<ReadingContext, 'work'> = {}): ShapeReading<BuildShape> {
  return readBuildSpec(object, { kind: 'BuildConfig', work });
}

/**
 * The API server creates a Build from a BuildConfig without the BuildConfig's annotations, so without our mark. Secrets that are set already
 * count as user-supplied. The spec of an existing Build cannot change, except `output.pushSecret`, which the build controller sets
 * (openshift-apiserver, build validation).
 */
export function readBuild(object: JsonObject, { operation, work }: Pick<ReadingContext, 'operation' | 'work'>): ShapeReading<BuildShape> {
  const reading = readBuildSpec(object, { kind: 'Build', work });
  if (reading.kind !== 'shape' || operation === 'CREATE') return reading;
  return { kind: 'shape', shape: { ...reading.shape, readOnlyBecause: 'immutable' } };
}

type BuildContext = {
  /** A BuildConfig becomes a Build later, which can have further build arguments (`oc start-build --build-arg`, build webhooks). */
  readonly kind: 'BuildConfig' | 'Build';
  readonly work: WorkCounter | undefined;
};

function readBuildSpec(object: JsonObject, context: BuildContext): ShapeReading<BuildShape> {
  const spec = valueAt(object, ['spec']);
  if (!isObject(spec)) return malformed(problemAt(['spec'], `must be a build's spec, but is ${nameType(spec)}`));

  const wrong = metadataProblem(object, ['metadata']) ?? findWrongType(spec);
  if (wrong) return malformed(wrong);

  const strategy = findStrategy(spec, context);
  const sources = readSourceImages(spec, context);
  const otherDockerfile = findOtherDockerfile(spec);
  const dockerfile = strategy?.name === 'dockerStrategy' ? readInlineDockerfile(spec, strategy, sources, context) : [];
  if (!Array.isArray(dockerfile)) return malformed(dockerfile);
  const output = readReference({ spec }, ['spec', 'output', 'to'], 'push');

  const credentials: BuildCredential[] = [];
  if (strategy) credentials.push(strategyCredential(spec, strategy, dockerfile, sources));
  for (const source of sources) {
    if (source.slot && source.ownSecret) credentials.push(credential(spec, [...source.path, 'pullSecret'], 'pull', [source.slot]));
  }
  if (output) credentials.push(credential(spec, ['spec', 'output', 'pushSecret'], 'push', [output]));

  const paths = credentials.map(({ path }) => path);
  const mark = withoutUserSuppliedPaths(readBuildMark(object, ['metadata']), object, paths);
  return {
    kind: 'shape',
    shape: {
      kind: 'build',
      slots: credentials.flatMap(({ slots }) => slots),
      credentials,
      mark,
      ...(otherDockerfile !== undefined && { otherDockerfile }),
    },
  };
}

/**
 * The `dockerfilePath` of a build with an inline Dockerfile, where it names another file. The builder writes the text to `Dockerfile` in
 * the context directory, and builds the file at the path (openshift/builder, ManageDockerfile and getDockerfilePath).
 */
function findOtherDockerfile(spec: JsonObject): string | undefined {
  const path = textAt(spec, ['strategy', 'dockerStrategy', 'dockerfilePath']);
  if (path === undefined || textAt(spec, ['source', 'dockerfile']) === undefined) return undefined;
  // The API server replaces a path of the context directory itself, such as `.`, by the default (build validation: validateRelativePath).
  return ['Dockerfile', ''].includes(cleanPath(path)) ? undefined : path;
}

/** The inline Dockerfile that the build uses. */
function usedDockerfile(spec: JsonObject): string | undefined {
  return findOtherDockerfile(spec) === undefined ? textAt(spec, ['source', 'dockerfile']) : undefined;
}

/** As Go's filepath.Join cleans a path under a directory. */
function cleanPath(path: string): string {
  const kept: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..' && kept.length > 0 && kept.at(-1) !== '..') kept.pop();
    else if (part !== '' && part !== '.') kept.push(part);
  }
  return kept.join('/');
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

/** Characters. Reading takes up to 4 µs per character where the tools disagree most, so half a second. Real Dockerfiles are far shorter. */
const longestDockerfile = 131_072;

/** Finds a field of a wrong type. The typed API server never sends one, but the command line reads manifests that may have one. */
function findWrongType(spec: JsonObject): MalformedObject | undefined {
  for (const path of objectPaths) {
    const value = valueAt(spec, path);
    if (!isAbsent(value) && !isObject(value)) return problemAt(['spec', ...path], `must be an object, but is ${nameType(value)}`);
  }
  const wrong = findWrongList(spec) ?? findWrongDockerfile(spec);
  if (wrong) return wrong;
  const root = { spec };
  const sources = listAt(spec, ['source', 'images']).map((_image, index): Path => ['spec', 'source', 'images', index, 'from']);
  for (const path of [...referencePaths, ...sources]) {
    const problem = malformedReference(root, path);
    if (problem) return problem;
  }
  return undefined;
}

const objectPaths: readonly Path[] = [
  ['strategy'],
  ...strategyNames.map((name) => ['strategy', name]),
  ['source'],
  ['output'],
  ['output', 'to'],
];

const referencePaths: readonly Path[] = [...strategyNames.map((name) => ['spec', 'strategy', name, 'from']), ['spec', 'output', 'to']];

function findWrongList(spec: JsonObject): MalformedObject | undefined {
  const images = listAt(spec, ['source', 'images']);
  const wrong = images.findIndex((image) => !isObject(image));
  if (wrong >= 0) return problemAt(['spec', 'source', 'images', wrong], `must be an image source, but is ${nameType(images[wrong])}`);
  const listsOfImages = images.flatMap((_image, index): Path[] => ['as', 'paths'].map((field) => ['source', 'images', index, field]));
  for (const path of [...listPaths, ...listsOfImages]) {
    const list = valueAt(spec, path);
    if (!isAbsent(list) && !Array.isArray(list)) return problemAt(['spec', ...path], `must be a list, but is ${nameType(list)}`);
  }
  return undefined;
}

const listPaths: readonly Path[] = [
  ['source', 'images'],
  ['strategy', 'dockerStrategy', 'buildArgs'],
  ['strategy', 'dockerStrategy', 'env'],
];

function findWrongDockerfile(spec: JsonObject): MalformedObject | undefined {
  const path = ['source', 'dockerfile'];
  const text = valueAt(spec, path);
  if (isAbsent(text)) return undefined;
  if (typeof text !== 'string') return problemAt(['spec', ...path], `must be a string, but is ${nameType(text)}`);
  if (text.length <= longestDockerfile) return undefined;
  return problemAt(
    ['spec', ...path],
    `must have at most ${formatCount(longestDockerfile)} characters, but has ${formatCount(text.length)}`,
  );
}

function listAt(root: JsonObject, path: Path): readonly unknown[] {
  const value = valueAt(root, path);
  return Array.isArray(value) ? value : [];
}

function findStrategy(spec: JsonObject, { kind }: BuildContext): Strategy | undefined {
  const name = strategyNames.find((candidate) => isObject(valueAt(spec, ['strategy', candidate])));
  if (!name) return undefined;
  const path = ['spec', 'strategy', name];
  return { name, path, from: readPulled(spec, [...path, 'from'], kind) };
}

function readPulled(spec: JsonObject, path: Path, kind: BuildContext['kind']): ImageSlot | undefined {
  return kind === 'Build' ? readReference({ spec }, path, 'pull') : readPulledLater({ spec }, path);
}

function readSourceImages(spec: JsonObject, { kind }: BuildContext): readonly SourceImage[] {
  return listAt(spec, ['source', 'images']).map((_image, index) => {
    const path = ['spec', 'source', 'images', index];
    return {
      path,
      slot: readPulled(spec, [...path, 'from'], kind),
      as: listAt(spec, ['source', 'images', index, 'as']).filter((name) => typeof name === 'string'),
      ownSecret: listAt(spec, ['source', 'images', index, 'paths']).length > 0,
    };
  });
}

function readInlineDockerfile(
  spec: JsonObject,
  strategy: Strategy,
  sources: readonly SourceImage[],
  { kind, work }: BuildContext,
): DockerfileSlot[] | MalformedObject {
  const text = usedDockerfile(spec);
  if (text === undefined) return [];
  const context: DockerfileContext = {
    args: readVariables(spec, ['strategy', 'dockerStrategy', 'buildArgs']),
    env: readVariables(spec, ['strategy', 'dockerStrategy', 'env']),
    continued: hasPostCommit(spec),
    mayGrow: kind === 'BuildConfig',
  };
  const images = readDockerfileImages(text, context, work);
  if (!Array.isArray(images)) return problemAt(['spec', 'source', 'dockerfile'], images.why);
  const replaced = new Set(sources.flatMap(({ as }) => as));
  return images
    .filter((image) => !(image.lastFrom && strategy.from))
    .filter((image) => !(image.replaceable && replaced.has(image.written)))
    .map((image) => ({ lastFrom: image.lastFrom, slot: dockerfileSlot(image) }));
}

/** For a postCommit hook OpenShift's builder adds a stage that starts from the last one (openshift/builder, appendPostCommit). */
function hasPostCommit(spec: JsonObject): boolean {
  const hook = valueAt(spec, ['postCommit']);
  return isObject(hook) && ['command', 'args', 'script'].some((field) => !isAbsent(hook[field]));
}

type DockerfileSlot = { readonly slot: ImageSlot; readonly lastFrom: boolean };

function dockerfileSlot(image: DockerfileImage): ImageSlot {
  return {
    path: ['spec', 'source', 'dockerfile'],
    displayName: `${image.instruction} on line ${image.line} of the inline Dockerfile`,
    action: 'pull',
    ...(image.stage && { advice: stageAdvice[image.stage] }),
    content:
      image.image === undefined
        ? { kind: 'unresolved', written: image.written, why: `${quote(image.written)} contains a build argument whose value is unknown` }
        : { kind: 'image', text: image.image, ...(image.openTag && { openTag: true }) },
  };
}

/** Why the text is an image although a stage has that name, and what to change. One or two sentences. */
const stageAdvice: Readonly<Record<NonNullable<DockerfileImage['stage']>, string>> = {
  'not-earlier': 'A stage of this Dockerfile has the same name or number, but only earlier stages can be used here.',
  skipped:
    'A stage of this Dockerfile has the same name, but some build tools skip it and pull the image instead. Do not use variables in the stage name.',
  'not-a-name':
    'A stage of this Dockerfile has the same name, but not all build tools accept it as a stage name. Use only letters, digits, ".", "_" and "-".',
  number: 'A stage of this Dockerfile has this number, but only COPY --from accepts numbers. Give the stage a name and use the name.',
  'other-letters':
    'A stage of this Dockerfile has a name that differs only in case, and build tools disagree on whether it matches. Use lower case for both names.',
};

/** Name → value. Undefined for a value from a ConfigMap or Secret. Without `value` and `valueFrom` it is empty: the API omits `""`. */
function readVariables(spec: JsonObject, path: Path): ReadonlyMap<string, string | undefined> {
  const values = new Map<string, string | undefined>();
  for (const arg of listAt(spec, path)) {
    const name = textAt(arg, ['name']);
    if (name !== undefined) values.set(name, textAt(arg, ['value']) ?? (isAbsent(valueAt(arg, ['valueFrom'])) ? '' : undefined));
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
    unseenImages: strategy.name === 'dockerStrategy' && usedDockerfile(spec) === undefined,
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

function malformed(problem: MalformedObject): ShapeReading<BuildShape> {
  return { kind: 'malformed', problem };
}
