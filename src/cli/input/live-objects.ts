/** The options of commands that read live objects, and the progress that they show meanwhile. */
import type { Command, Option } from 'commander';
import { formatCount } from '../../image/wording.ts';
import { type ApiClient, ApiError } from '../../kube/api-client.ts';
import type { Progress } from '../../scan/read-workloads.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import type { Terminal } from '../terminal.ts';
import { limitGarbage } from './garbage-limit.ts';
import {
  allNamespacesOption,
  contextOption,
  kubeconfigOption,
  namespaceOption,
  regkeeperNamespaceOption,
  selectorOption,
} from './options.ts';

export type ClusterChoice = { readonly kubeconfig?: string | undefined; readonly context?: string | undefined };

/** Connects to the cluster of a kubeconfig, with the caller's identity. */
export type ConnectAction = (choice: ClusterChoice) => Promise<ApiClient>;

export type LiveOptions = ClusterChoice & {
  readonly namespace?: string;
  readonly allNamespaces?: true;
  readonly selector?: string;
  readonly regkeeperNamespace: string;
};

export function addLiveOptions(command: Command): Command {
  return addOptions(command, namespaceOption('read only objects in this namespace'), '');
}

/** For a command that reads live objects only with --cluster, and files otherwise. */
export function addOptionsWithCluster(command: Command): Command {
  const namespace = namespaceOption('set the namespace for objects that have none. With --cluster: read only objects in this namespace');
  return addOptions(command, namespace, 'with --cluster: ');
}

function addOptions(command: Command, namespace: Option, when: string): Command {
  return command
    .addOption(namespace)
    .addOption(allNamespacesOption(when))
    .addOption(selectorOption(when))
    .addOption(kubeconfigOption(when))
    .addOption(contextOption(when))
    .addOption(regkeeperNamespaceOption(when));
}

const liveFlags = { allNamespaces: '--all-namespaces', selector: '--selector', kubeconfig: '--kubeconfig', context: '--context' } as const;

/** Without --cluster. @throws ConfigurationError for an option that would have no effect */
export function rejectLiveOptions(options: Partial<LiveOptions>): void {
  const names = Object.keys(liveFlags) as (keyof typeof liveFlags)[];
  const useless = names.find((name) => options[name] !== undefined);
  if (useless !== undefined) throw new ConfigurationError(`${liveFlags[useless]} can be used only with --cluster`);
}

/** Closes the connection at the end. */
export async function withClient<Result>(
  connect: ConnectAction,
  choice: ClusterChoice,
  work: (client: ApiClient) => Promise<Result>,
): Promise<Result> {
  const client = await connect(choice);
  try {
    return await work(client);
  } catch (error) {
    throw explainUnreachable(error, client.server);
  } finally {
    await client.close();
  }
}

/** The request that failed is of no use to a user who only has to correct an address. */
function explainUnreachable(error: unknown, server: string | undefined): unknown {
  if (!(error instanceof ApiError) || error.status !== 0 || !['Unreachable', 'Timeout'].includes(error.reason)) return error;
  const cause = error.message.replace(/^[A-Z]+ \S+: /, '');
  const where = server === undefined ? '' : ` ${server}`;
  return new ConfigurationError(`cannot reach the API server${where}: ${cause}. Check the address in the kubeconfig and the network`);
}

/** Runs a long reading with a limit for its garbage, and shows its progress: one line on standard error, on a terminal only. */
export async function readWithProgress<Result>(
  { err, isTerminal }: Pick<Terminal, 'err' | 'isTerminal'>,
  read: (onProgress: (progress: Progress) => void) => Promise<Result>,
): Promise<Result> {
  const checkGarbage = limitGarbage();
  try {
    return await read((progress) => {
      checkGarbage();
      if (isTerminal) err(`${clearLine}${renderProgress(progress)}`);
    });
  } finally {
    if (isTerminal) err(clearLine);
  }
}

/** ECMA-48: to the start of the line, and erase it. */
const clearLine = '\r\u001b[2K';
const barWidth = 20;

function renderProgress({ resource, objects, remaining }: Progress): string {
  const count = formatCount(objects);
  if (remaining === undefined) return `reading ${resource}: ${count}`;
  const total = objects + remaining;
  const done = total === 0 ? barWidth : Math.floor((barWidth * objects) / total);
  return `reading ${resource} [${'#'.repeat(done)}${'-'.repeat(barWidth - done)}] ${count} of ${formatCount(total)}`;
}
