/** Loads rules from files and folders, and follows their changes: for development, and for clusters that mount them. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { buffer as bytesOfStream } from 'node:stream/consumers';
import { errorCode, errorMessage } from '../errors/error-message.ts';
import { decodeUtf8 } from '../files/decode-utf8.ts';
import { watchFolders } from '../files/watch-folders.ts';
import { rulesLabel } from '../rules/language/config-map.ts';
import { type Problem, renderOrigin } from '../rules/language/problem.ts';
import type { Bundle } from '../rules/store/rule-store.ts';
import type { Clock } from '../time/clock.ts';
import type { RuleLoader } from './rule-loader.ts';
import { type ConfigMapInFile, type LabelInCluster, readRulesManifest, type SourceInFile } from './rule-manifests.ts';

export type RuleFilesOptions = {
  /** Files, and folders whose `.yaml`, `.yml` and `.json` files are read, including subfolders. */
  readonly paths: readonly string[];
  readonly loader: Pick<RuleLoader, 'open' | 'offer' | 'withdraw'>;
  /** Called once for each new problem of reading. The rules in force stay. */
  readonly onProblem: (message: string) => void;
  /** Called when all files can be read again, before their changes are loaded. */
  readonly onReadable?: () => void;
  readonly pollMilliseconds?: number;
  readonly clock?: Clock;
};

export type RuleFilesSource = {
  /**
   * Loads the files, then follows their changes.
   *
   * @throws Error if a path cannot be read, with one sentence per line
   */
  start(): Promise<void>;
  stop(): void;
};

export function createRuleFilesSource(options: RuleFilesOptions): RuleFilesSource {
  const { paths, loader, onProblem, pollMilliseconds, clock } = options;
  let known: ReadonlyMap<string, Bundle> = new Map();
  let watching: { close(): void } | undefined;
  let stopped = false;
  let lastProblem: string | undefined;

  async function reload(): Promise<void> {
    try {
      const next = bundlesOf(await readWithoutProblems(paths));
      if (lastProblem !== undefined) options.onReadable?.();
      lastProblem = undefined;
      for (const bundle of next.values()) if (contentOf(known.get(bundle.id)) !== contentOf(bundle)) await loader.offer(bundle);
      for (const [id, { scope }] of known) if (!next.has(id)) await loader.withdraw(id, scope);
      known = next;
    } catch (error) {
      const message = errorMessage(error);
      if (message !== lastProblem) onProblem(message);
      lastProblem = message;
    }
  }

  return {
    async start() {
      if (paths.includes('-')) throw new Error('rules -: standard input cannot be watched. Use files or directories.');
      known = bundlesOf(await readWithoutProblems(paths));
      await loader.open([...known.values()]);
      const folders = [...new Set(await Promise.all(paths.map(folderOf)))];
      if (stopped) return;
      watching = watchFolders({ folders, reload, ...(pollMilliseconds !== undefined && { pollMilliseconds }), ...(clock && { clock }) });
    },
    stop() {
      stopped = true;
      watching?.close();
    },
  };
}

/** The rules in files. */
export type RuleFilesContent = {
  /** One for each file that is a rules document, and for each rules ConfigMap. Ordered by path and, in folders, by name. */
  readonly bundles: readonly Bundle[];
  /** The ConfigMaps among them. */
  readonly configMaps: readonly ConfigMapInFile[];
  /** Problems because of which ConfigMaps of a file cannot be read at all. Those of their documents are found by parsing. */
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** Secrets with the label of a source of secret delivery, among the Kubernetes objects. */
  readonly sources: readonly SourceInFile[];
  readonly files: readonly string[];
};

/**
 * Reads rules documents, and rules ConfigMaps among other Kubernetes objects, which are ignored in folders. `-` is standard input.
 * `displayName` returns the name of a file in sources. `labelInCluster` is for files that will be applied to a cluster.
 *
 * @throws Error if paths cannot be read or contain no rules, with one sentence per line
 */
export async function readRuleFiles(
  paths: readonly string[],
  displayName: (file: string) => string = (file) => file,
  labelInCluster?: LabelInCluster,
): Promise<RuleFilesContent> {
  const found = (await allOrErrors(paths.map(filesAt))).flat();
  const files = [...new Map(found.map((place) => [place.file, place])).values()];
  const contents = await allOrErrors(files.map(async ({ file }) => readContent(displayName(file), await readText(file), labelInCluster)));
  const errors = [
    ...files.flatMap((place, index) => explainFileWithoutRules(place, contents[index]) ?? []),
    ...paths.flatMap((path) => explainFolderWithoutRules(path, files, contents) ?? []),
  ];
  if (errors.length > 0) throw new Error(errors.join('\n'));

  const configMaps = contents.flatMap((content) => (content.kind === 'objects' ? content.configMaps : []));
  return {
    bundles: contents.flatMap((content) => (content.kind === 'document' ? [content.bundle] : content.configMaps.map(bundleOf))),
    configMaps,
    problems: contents.flatMap((content) => (content.kind === 'objects' ? content.problems : [])),
    warnings: [...contents.flatMap((content) => (content.kind === 'objects' ? content.warnings : [])), ...findDuplicates(configMaps)],
    sources: contents.flatMap((content) => (content.kind === 'objects' ? content.sources : [])),
    files: files.map(({ file }) => file),
  };
}

/**
 * For the server: a ConfigMap that cannot be read must not be mistaken for a deleted one.
 *
 * @throws Error
 */
async function readWithoutProblems(paths: readonly string[]): Promise<RuleFilesContent> {
  const content = await readRuleFiles(paths);
  if (content.problems.length > 0) {
    throw new Error(content.problems.map(({ origin, message }) => `${renderOrigin(origin)}: ${message}`).join('\n'));
  }
  return content;
}

type RuleFile = {
  readonly file: string;
  /** The folder in the input, unless the input is the file itself. */
  readonly folder?: string;
};

type FileContent =
  | { readonly kind: 'document'; readonly bundle: Bundle }
  | ({ readonly kind: 'objects' } & NonNullable<ReturnType<typeof readRulesManifest>>);

/** All results, or one Error with the message of each failure. */
async function allOrErrors<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(work);
  const failures = settled.flatMap((each) => (each.status === 'rejected' ? [each.reason as Error] : []));
  if (failures.length > 0) throw new Error(failures.map(({ message }) => message).join('\n'));
  return settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
}

async function filesAt(path: string): Promise<RuleFile[]> {
  if (path === '-') return [{ file: path }];
  const about = await stat(path).catch((error: unknown) => fail(path, error));
  if (!about.isDirectory()) return [{ file: path }];
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch((error: unknown) => fail(path, error));
  // The kubelet swaps a mounted ConfigMap by `..data` and `..2026_…`, with its files as links next to them. Files of kustomize are its own,
  // and need no kind.
  const files = entries.filter(
    (entry) =>
      !entry.isDirectory() &&
      /\.(ya?ml|json)$/.test(entry.name) &&
      !/^kustomization\.ya?ml$/.test(entry.name) &&
      !entry.parentPath.includes('/..2'),
  );
  if (files.length === 0) throw new Error(`rules directory ${path} contains no .yaml, .yml or .json files`);
  return files
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((file) => ({ file, folder: path }));
}

function readContent(file: string, text: string, labelInCluster: LabelInCluster | undefined): FileContent {
  const manifest = readRulesManifest(text, file, labelInCluster);
  if (manifest) return { kind: 'objects', ...manifest };
  return { kind: 'document', bundle: { id: file, documents: [{ source: { kind: 'file', file }, text }] } };
}

const clusterLabel = `the label ${rulesLabel}: cluster`;
const expectedContent = `a rules document, or a ConfigMap with ${clusterLabel}`;

/** Folders may contain other objects. A file in the input must have rules. */
function explainFileWithoutRules({ file, folder }: RuleFile, content: FileContent | undefined): string | undefined {
  if (folder !== undefined || content?.kind !== 'objects' || containsRules(content)) return undefined;
  const { others } = content;
  const shown = others.slice(0, 3).join(', ');
  const more = others.length > 3 ? ` and ${others.length - 3} more` : '';
  const [unlabelled] = content.unlabelled;
  const fix = unlabelled === undefined ? `Use ${expectedContent}` : `Add ${clusterLabel} to ${unlabelled}`;
  return `rules ${file}: contains no rules, only ${shown === '' ? 'an empty list' : shown + more}. ${fix}.`;
}

function explainFolderWithoutRules(path: string, files: readonly RuleFile[], contents: readonly FileContent[]): string | undefined {
  const inside = contents.filter((_, index) => files[index]?.folder === path);
  if (inside.length === 0 || inside.some((content) => content.kind === 'document' || containsRules(content))) return undefined;
  const [unlabelled] = contents.flatMap((content, index) => {
    const [first] = content.kind === 'objects' && files[index]?.folder === path ? content.unlabelled : [];
    return first === undefined ? [] : [`${first} in ${relative(path, files[index]?.file ?? '')}`];
  });
  const fix = unlabelled === undefined ? expectedContent : `${clusterLabel} to ${unlabelled}`;
  return `rules directory ${path} contains Kubernetes objects but no rules. Add ${fix}.`;
}

function containsRules(content: FileContent & { kind: 'objects' }): boolean {
  return content.configMaps.length + content.problems.length + content.warnings.length > 0;
}

function bundleOf({ name, namespace, scope, origin, documents }: ConfigMapInFile): Bundle {
  const file = origin.source.kind === 'file' ? origin.source.file : '';
  // The line distinguishes two ConfigMaps of one name in one file. A ConfigMap that moves in its file is withdrawn and loaded again, which
  // changes nothing.
  return { id: `${file}:${origin.line} ConfigMap ${namespace}/${name}`, scope, documents };
}

/** If both are applied, only the later one exists in the cluster. */
function findDuplicates(configMaps: readonly ConfigMapInFile[]): readonly Problem[] {
  const first = new Map<string, ConfigMapInFile>();
  return configMaps.flatMap((configMap): Problem[] => {
    const key = `${configMap.namespace}/${configMap.name}`;
    const other = first.get(key);
    if (!other) {
      first.set(key, configMap);
      return [];
    }
    const called = configMap.namespace === '' ? configMap.name : key;
    const message = `ConfigMap ${called} is also defined in ${renderOrigin(other.origin)}. In a cluster, the one applied later replaces the other. Give them different names.`;
    return [{ code: 'duplicate-configmap', message, origin: configMap.origin, related: other.origin }];
  });
}

function bundlesOf({ bundles }: RuleFilesContent): ReadonlyMap<string, Bundle> {
  return new Map(bundles.map((bundle) => [bundle.id, bundle]));
}

async function folderOf(path: string): Promise<string> {
  const about = await stat(path).catch((error: unknown) => fail(path, error));
  return about.isDirectory() ? path : dirname(path);
}

async function readText(file: string): Promise<string> {
  const bytes = file === '-' ? await bytesOfStream(process.stdin) : await readFile(file).catch((error: unknown) => fail(file, error));
  // Behind a pipe, this is a command that failed. An empty file is rules without content, about which there is a warning.
  if (file === '-' && bytes.length === 0) throw new Error('rules -: standard input is empty');
  try {
    return decodeUtf8(bytes);
  } catch (error) {
    throw new Error(`rules ${file}: ${errorMessage(error)}.`);
  }
}

function fail(path: string, error: unknown): never {
  const code = errorCode(error);
  if (code === 'ENOENT') throw new Error(`rules ${path}: no such file or directory`);
  if (code === 'EACCES') throw new Error(`rules ${path}: permission denied`);
  throw new Error(`rules ${path}: ${errorMessage(error)}`);
}

function contentOf(bundle: Bundle | undefined): string | undefined {
  return bundle && JSON.stringify(bundle.documents);
}
