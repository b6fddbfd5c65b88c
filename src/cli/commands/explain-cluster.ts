/** `explain --cluster`: reads the rules in effect and the labels of a namespace. */
import { type ApiClient, isNotFound, type KubeObject } from '../../kube/api-client.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import { readInstallation } from '../../scan/installation.ts';
import { readRulesInCluster } from '../../scan/live-cluster.ts';
import { describeNotRead, distinctNotRead } from '../../scan/not-read.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import { type ClusterChoice, type ConnectAction, withClient } from '../input/live-objects.ts';
import { renderProblems } from '../output/paint-problems.ts';
import { renderLiveRemarks, renderNotLoaded, renderNotRead } from '../output/render-live.ts';
import type { Terminal } from '../terminal.ts';

type Labels = Readonly<Record<string, string>>;

export type ClusterExplainOptions = ClusterChoice & {
  readonly regkeeperNamespace: string;
  readonly namespace: string;
  /** Instead of those in the cluster. */
  readonly labels: Labels | undefined;
  readonly quiet?: true;
};

export type RulesAndLabels = {
  readonly rules: RuleSet;
  readonly labels: Labels | undefined;
  /** Whether the webhooks exclude the namespace. */
  readonly excluded: boolean;
  readonly incomplete: boolean;
};

/** Undefined if no rules are in effect, or they cannot be read. What could not be read is on standard error. */
export function readRulesAndLabels(
  { regkeeperNamespace, namespace, ...options }: ClusterExplainOptions,
  terminal: Terminal,
  connect: ConnectAction,
): Promise<RulesAndLabels | undefined> {
  return withClient(connect, options, async (client) => {
    const installation = await readInstallation(client, { namespace: regkeeperNamespace });
    const inEffect = await readRulesInCluster({ client, installation, namespace: regkeeperNamespace });
    terminal.err(renderProblems(inEffect.problems, terminal.paint.err));
    if (!inEffect.ok) {
      terminal.err(renderNotLoaded(inEffect.why));
      return undefined;
    }
    const { labels, gap } = options.labels ? { labels: options.labels, gap: undefined } : await readLabels(client, namespace);
    // No object is evaluated, so custom kinds do not matter.
    const notRead = distinctNotRead([...installation.notRead.filter(({ code }) => code !== 'unknown-kind'), ...inEffect.notRead]);
    terminal.err(renderNotRead(notRead, []));
    const { scope } = installation;
    const excluded = !scope.covers(namespace, labels);
    const gaps = [...(scope.gap === undefined ? [] : [scope.gap]), ...(gap === undefined ? [] : [gap])];
    if (!options.quiet) terminal.err(renderLiveRemarks(installation, gaps));
    // Then the result has no effect, so this is no remark.
    if (excluded) terminal.err(`regkeeper: namespace "${namespace}" is excluded from the webhooks, so its images are not evaluated\n`);
    return { rules: inEffect.rules, labels, excluded, incomplete: notRead.length > 0 };
  });
}

/** @throws ConfigurationError if the namespace does not exist: a typing error would otherwise get a result. */
async function readLabels(
  client: ApiClient,
  namespace: string,
): Promise<{ readonly labels: Labels | undefined; readonly gap: string | undefined }> {
  const path = `/api/v1/namespaces/${namespace}`;
  try {
    const { metadata } = await client.get<KubeObject>(path);
    return { labels: metadata.labels ?? {}, gap: undefined };
  } catch (error) {
    if (isNotFound(error)) throw new ConfigurationError(`namespace "${namespace}" does not exist in the cluster`);
    const { message } = describeNotRead(error, { resource: 'namespaces', namespace: undefined, path, verb: 'get' });
    return { labels: undefined, gap: `cannot read the labels of namespace "${namespace}": ${message}` };
  }
}
