/** Finds the kubeconfig to use, like kubectl, and checks that its context leads to a server. */
import { readFile } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import type { Cluster, Context, KubeConfig, User } from '@kubernetes/client-node';
import { errorCode, errorMessage } from '../errors/error-message.ts';
import { readYaml } from '../yaml/read-yaml.ts';
import { describeYamlError } from '../yaml/yaml-error.ts';

/** A kubeconfig that cannot be used. The message is one line that names the file and the fix. */
export class KubeconfigError extends Error {
  override readonly name = 'KubeconfigError';
}

/** The environment variables that name a cluster. `process.env` fits. */
export type KubeEnvironment = {
  readonly KUBECONFIG?: string | undefined;
  readonly HOME?: string | undefined;
  readonly KUBERNETES_SERVICE_HOST?: string | undefined;
  readonly KUBERNETES_SERVICE_PORT?: string | undefined;
};

export type KubeConfigChoice = {
  /** The kubeconfig to read. Without it: KUBECONFIG, then ~/.kube/config, then the pod's service account. */
  readonly file?: string | undefined;
  /** The context to use instead of the file's current one. */
  readonly context?: string | undefined;
  readonly env: KubeEnvironment;
  /** What a user can do instead of setting a cluster, as the end of a sentence. */
  readonly alternative?: string | undefined;
  /** Where the kubelet mounts a pod's token, CA and namespace. */
  readonly serviceAccountFolder?: string | undefined;
};

type KubeConfigParts = Pick<KubeConfig, 'clusters' | 'users' | 'contexts'> & {
  readonly currentContext?: string | undefined;
  readonly where: string;
};

/**
 * The cluster and the identity to use, with a context that has a server. The sources and their order are client-node's, but where
 * client-node falls back to http://localhost:8080, this throws.
 * @throws KubeconfigError
 */
export async function loadKubeConfig(choice: KubeConfigChoice): Promise<KubeConfig> {
  // The import takes half a second, and most commands never need a cluster.
  const { KubeConfig } = await import('./kube-config-class.ts');
  const parts = await findParts(choice, () => new KubeConfig());
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromOptions({ ...parts, currentContext: chooseContext(parts, choice.context) });
  await checkFiles(parts.where, kubeConfig);
  return kubeConfig;
}

async function findParts(choice: KubeConfigChoice, blank: () => KubeConfig): Promise<KubeConfigParts> {
  const { file, env, serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount' } = choice;
  if (file !== undefined) return fromFile(file, blank);

  const listed = (env.KUBECONFIG ?? '').split(delimiter).filter((name) => name !== '');
  if (listed.length > 0) return fromFiles(listed, blank);

  const inPod = (await textOf(join(serviceAccountFolder, 'token'))) !== undefined;
  const home = env.HOME ? join(env.HOME, '.kube', 'config') : undefined;
  if (home !== undefined && (await textOf(home, { unreadable: inPod ? 'ignored' : 'rejected' })) !== undefined)
    return fromFile(home, blank);

  if (inPod) return fromServiceAccount(serviceAccountFolder, env);

  throw new KubeconfigError(
    `no cluster is configured: neither ${home ?? '~/.kube/config'} nor a service account token exists. Set --kubeconfig FILE or KUBECONFIG${choice.alternative === undefined ? '' : `, or ${choice.alternative}`}`,
  );
}

/** Like kubectl with a list: files that do not exist are ignored, and of two entries with the same name the first one applies. */
async function fromFiles(files: readonly string[], blank: () => KubeConfig): Promise<KubeConfigParts> {
  const found: KubeConfigParts[] = [];
  for (const file of files) {
    if ((await textOf(file)) !== undefined) found.push(await fromFile(file, blank));
  }
  if (found.length === 0) {
    throw new KubeconfigError(`no file in KUBECONFIG exists: ${files.join(', ')}. Correct or unset the variable`);
  }
  return {
    where: found.map((each) => each.where).join(', '),
    clusters: firstOfEachName(found.flatMap((each) => each.clusters)),
    users: firstOfEachName(found.flatMap((each) => each.users)),
    contexts: firstOfEachName(found.flatMap((each) => each.contexts)),
    currentContext: found.find((each) => each.currentContext)?.currentContext,
  };
}

function firstOfEachName<Entry extends { readonly name: string }>(entries: readonly Entry[]): Entry[] {
  const byName = new Map<string, Entry>();
  for (const entry of entries) if (!byName.has(entry.name)) byName.set(entry.name, entry);
  return [...byName.values()];
}

async function fromFile(file: string, blank: () => KubeConfig): Promise<KubeConfigParts> {
  const text = await textOf(file);
  if (text === undefined)
    throw new KubeconfigError(`kubeconfig ${file} does not exist. Correct --kubeconfig, REGKEEPER_KUBECONFIG or KUBECONFIG`);
  const written = parseMapping(file, text);
  const tokenFiles = removeTokenFiles(written);

  const kubeConfig = blank();
  try {
    kubeConfig.loadFromString(JSON.stringify(written));
  } catch (error) {
    throw new KubeconfigError(`kubeconfig ${file} is invalid: ${firstLine(error)}`);
  }
  const folder = dirname(resolve(file));
  kubeConfig.makePathsAbsolute(folder);
  return {
    where: `kubeconfig ${file}`,
    clusters: kubeConfig.clusters,
    users: kubeConfig.users.map((user) => withTokenFile(user, folder, tokenFiles.get(user.name))),
    contexts: kubeConfig.contexts,
    currentContext: kubeConfig.currentContext,
  };
}

type WrittenUser = { name?: unknown; user?: Record<string, unknown> | null };

function parseMapping(file: string, text: string): Record<string, unknown> {
  const { documents, error } = readYaml(text, { documents: 'one' });
  const trouble = documents[0]?.errors[0] ?? error;
  if (trouble) throw new KubeconfigError(`kubeconfig ${file} is not YAML: ${describeYamlError(trouble)}`);
  const written = documents[0]?.value ?? null;
  if (typeof written !== 'object' || written === null || Array.isArray(written)) {
    throw new KubeconfigError(`kubeconfig ${file} is not a kubeconfig: expected a mapping with clusters, users and contexts`);
  }
  return written as Record<string, unknown>;
}

/**
 * Removes the token files from the users. client-node ignores `tokenFile`, the name of the field in Kubernetes. It reads its own
 * `token-file` only once, although such files are rotated.
 */
function removeTokenFiles(written: Record<string, unknown>): Map<unknown, string> {
  const tokenFiles = new Map<unknown, string>();
  for (const entry of Array.isArray(written.users) ? (written.users as (WrittenUser | null)[]) : []) {
    const user = entry?.user;
    const tokenFile = user?.tokenFile ?? user?.['token-file'];
    if (!user || typeof tokenFile !== 'string') continue;
    tokenFiles.set(entry.name, tokenFile);
    delete user.tokenFile;
    delete user['token-file'];
  }
  return tokenFiles;
}

/** A token file overrides a token in the kubeconfig itself, as in client-go. */
function withTokenFile(user: User, folder: string, tokenFile: string | undefined): User {
  if (tokenFile === undefined) return user;
  const { token: _loses, ...others } = user;
  return { ...others, authProvider: { name: 'tokenFile', config: { tokenFile: resolve(folder, tokenFile) } } };
}

async function fromServiceAccount(folder: string, env: KubeEnvironment): Promise<KubeConfigParts> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (!host || !port) {
    throw new KubeconfigError(
      `${folder} contains a service account token, but KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set. Set them, or use --kubeconfig FILE`,
    );
  }
  const namespace = (await textOf(join(folder, 'namespace')))?.trim();
  const context: Context = { name: 'service-account', cluster: 'in-cluster', user: 'service-account', ...(namespace && { namespace }) };
  const cluster: Cluster = {
    name: 'in-cluster',
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    caFile: join(folder, 'ca.crt'),
    skipTLSVerify: false,
  };
  return {
    where: `service account in ${folder}`,
    clusters: [cluster],
    users: [withTokenFile({ name: 'service-account' }, folder, 'token')],
    contexts: [context],
    currentContext: context.name,
  };
}

/** The name of a context whose cluster and user exist, and whose server has a usable URL. */
function chooseContext({ where, clusters, users, contexts, currentContext }: KubeConfigParts, wanted: string | undefined): string {
  const name = wanted ?? currentContext;
  const known = contexts.map((each) => each.name).join(', ') || 'none';
  if (!name) throw new KubeconfigError(`${where} has no current-context. Choose a context with --context (available: ${known})`);
  const context = contexts.find((each) => each.name === name);
  if (!context) throw new KubeconfigError(`${where} has no context "${name}". Choose another one with --context (available: ${known})`);

  const cluster = clusters.find((each) => each.name === context.cluster);
  if (!cluster)
    throw new KubeconfigError(`${where}: context "${name}" refers to cluster "${context.cluster}", which does not exist. Add it`);
  if (context.user && !users.some((each) => each.name === context.user)) {
    throw new KubeconfigError(`${where}: context "${name}" refers to user "${context.user}", which does not exist. Add it`);
  }
  checkServer(where, cluster);
  return name;
}

function checkServer(where: string, cluster: Cluster): void {
  const scheme = URL.canParse(cluster.server) ? new URL(cluster.server).protocol : undefined;
  if (scheme !== 'https:' && scheme !== 'http:') {
    throw new KubeconfigError(`${where}: cluster "${cluster.name}" has the invalid server "${cluster.server}". Use https://host:port`);
  }
  // client-node rejects this too, but only at each request.
  if (scheme === 'http:' && !cluster.skipTLSVerify) {
    throw new KubeconfigError(
      `${where}: cluster "${cluster.name}" has the unencrypted server ${cluster.server}. Use https, or set insecure-skip-tls-verify: true`,
    );
  }
}

/** client-node reads these files at each request, and would report a missing one for every request. */
async function checkFiles(where: string, kubeConfig: KubeConfig): Promise<void> {
  const cluster = kubeConfig.getCurrentCluster();
  const user = kubeConfig.getCurrentUser();
  const files = {
    'certificate-authority': cluster?.caFile,
    'client-certificate': user?.certFile,
    'client-key': user?.keyFile,
    tokenFile: user?.authProvider?.config?.tokenFile as string | undefined,
  };
  for (const [field, file] of Object.entries(files)) {
    if (file && (await textOf(file)) === undefined)
      throw new KubeconfigError(`${where}: ${field} ${file} does not exist. Correct the path`);
  }
}

/**
 * The file's text, or undefined where there is no such file. A file without read permission is ignored if no one named it. OpenShift runs
 * a container with an arbitrary user ID, which may not enter the home folder of the image.
 */
async function textOf(
  file: string,
  { unreadable = 'rejected' }: { unreadable?: 'rejected' | 'ignored' } = {},
): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (code === 'EACCES' && unreadable === 'ignored') return undefined;
    throw new KubeconfigError(`cannot read ${file} (${code}). Correct the path or its permissions`);
  }
}

function firstLine(error: unknown): string {
  return errorMessage(error).split('\n', 1)[0] ?? '';
}
