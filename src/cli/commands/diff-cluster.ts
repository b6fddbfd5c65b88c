/** `diff --cluster`: prints what a change of the rules does to what runs. */
import { asConfigurationError } from '../../app/as-configuration-error.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import { readRuleFiles } from '../../loading/rule-files.ts';
import type { LabelAfterApply } from '../../loading/rule-manifests.ts';
import type { Problem } from '../../rules/language/problem.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import type { Bundle } from '../../rules/store/rule-store.ts';
import { compareRulesOnCluster, type RuleComparison } from '../../scan/compare-rules.ts';
import { type Installation, readInstallation } from '../../scan/installation.ts';
import { onPlatform, readLiveInputs, readRulesInCluster } from '../../scan/live-cluster.ts';
import { distinctNotRead, type NotRead } from '../../scan/not-read.ts';
import { afterApply, labelAfterApply, labelFinder } from '../../scan/rules-after-apply.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import { printJson } from '../../yaml/print-json.ts';
import { readCustomKindsOption } from '../input/kinds-from-files.ts';
import { type ConnectAction, type LiveOptions, readWithProgress, withClient } from '../input/live-objects.ts';
import { readRulePair, renderInvalidPair } from '../input/rule-pair.ts';
import { type MachineFormat, renderMachine } from '../output/machine-output.ts';
import { renderProblems } from '../output/paint-problems.ts';
import { renderWorkloadChanges, ruleChangeEntry } from '../output/render-diff.ts';
import { renderExcluded, renderLiveRemarks, renderNotLoaded, renderNotRead, renderSentences } from '../output/render-live.ts';
import type { ExitCode, Terminal } from '../terminal.ts';

export type ClusterDiffOptions = LiveOptions & {
  readonly date?: number;
  readonly customKinds?: readonly string[];
  readonly strict?: true;
  readonly quiet?: true;
  readonly output: 'table' | MachineFormat;
};

/** `paths` are the rules after the change, or those before and after it. */
export async function diffCluster(
  paths: readonly string[],
  options: ClusterDiffOptions,
  terminal: Terminal,
  connect: ConnectAction,
): Promise<ExitCode> {
  if (paths.filter((path) => path === '-').length > 1) throw new ConfigurationError('standard input (-) can be used only once');
  const kinds = options.customKinds && (await readCustomKindsOption(options.customKinds, terminal));
  if (options.customKinds && !kinds) return 2;
  return withClient(connect, options, async (client) => {
    const installation = await readInstallation(client, { namespace: options.regkeeperNamespace, kinds });
    const pair = await readPair(client, installation, paths, options, terminal);
    return pair ? compare(client, installation, pair, options, terminal) : 2;
  });
}

type RulePair = {
  readonly before: RuleSet;
  readonly after: RuleSet;
  readonly notRead: readonly NotRead[];
  readonly remarks: readonly string[];
};

async function compare(
  client: ApiClient,
  installation: Installation,
  { before, after, ...pair }: RulePair,
  options: ClusterDiffOptions,
  terminal: Terminal,
): Promise<ExitCode> {
  const { namespace, regkeeperNamespace, selector: labelSelector, date: now = Date.now(), quiet = false, strict = false } = options;
  const inputs = await readLiveInputs({ client, installation, regkeeperNamespace, rules: [before, after], namespace, now });
  const { facts, isCovered, namespaces } = inputs;
  const live = { client, kinds: installation.kinds, namespace, labelSelector, isCovered, facts, namespaces };
  const comparison = await readWithProgress(terminal, (onProgress) => compareRulesOnCluster({ ...live, before, after, onProgress }));
  const notRead = distinctNotRead([...installation.notRead, ...pair.notRead, ...inputs.notRead, ...comparison.notRead]);
  const complete = { ...comparison, notRead };

  terminal.err(renderNotRead(notRead, complete.notEvaluated));
  if (!quiet)
    terminal.err(renderLiveRemarks(installation, [...pair.remarks, ...inputs.gaps, ...complete.gaps]) + renderExcluded(complete.excluded));
  terminal.out(render(before, after, complete, options, terminal));
  if (notRead.length + complete.notEvaluated.length > 0) return 2;
  return isFinding(complete, strict) ? 1 : 0;
}

/**
 * As without a cluster. A namespace that loses its copy of a secret counts too. A loosened rule changes nothing of what runs, since that is
 * allowed already, so `strict` considers the rules themselves.
 */
function isFinding({ rules, changes, copies, summary }: RuleComparison, strict: boolean): boolean {
  if (strict) return rules.length + changes.length + copies.length > 0;
  return summary.newlyDenied + summary.secretsLost + summary.uncertain + summary.copiesLost > 0;
}

async function readPair(
  client: ApiClient,
  installation: Installation,
  paths: readonly string[],
  { regkeeperNamespace, ...options }: ClusterDiffOptions,
  terminal: Terminal,
): Promise<RulePair | undefined> {
  const [first = '', second] = paths;
  const ofServer = installation.server.notRead;
  if (second !== undefined) {
    const pair = await readRulePair([first, second], options, terminal, true);
    if (!pair) return undefined;
    const { before, after } = pair;
    const remarks = ofServer.map(({ message }) => message);
    return { before: onPlatform(before, installation), after: onPlatform(after, installation), notRead: [], remarks };
  }

  const read = { client, installation, namespace: regkeeperNamespace };
  const labels = new Map<Bundle['id'], LabelAfterApply>();
  const onConfigMap = (live: unknown, id: Bundle['id']) => void labels.set(id, labelAfterApply(live));
  const before = await readRulesInCluster({ ...read, onConfigMap });
  terminal.err(renderProblems(before.problems, terminal.paint.err));
  if (!before.ok) {
    terminal.err(renderNotLoaded(before.why));
    return undefined;
  }
  const content = await readRuleFiles([first], undefined, labelFinder(labels, regkeeperNamespace)).catch(asConfigurationError);
  const applied = applyTo(content, regkeeperNamespace);
  // Without this reason, a reader would look for the rules in the file.
  terminal.err(renderSentences(applied.removals));
  const after = await readRulesInCluster({ ...read, change: applied.change });
  // Problems of the files would keep them from taking effect, so there is nothing to preview.
  const problems = [...content.problems, ...after.problems.filter(isOfFile)];
  terminal.err(renderProblems(options.quiet ? problems : [...problems, ...content.warnings], terminal.paint.err));
  if (problems.length > 0) {
    terminal.out(renderInvalidPair({ before: before.rules.revision, after: undefined }, problems, options.output, true));
    return undefined;
  }
  if (!after.ok) {
    terminal.err(renderNotLoaded(after.why, 'the rules of the cluster after the change'));
    return undefined;
  }
  const { configMaps } = applied;
  const remark = configMaps
    ? `comparing the rules in effect with those after ${configMaps.join(', ')} is applied`
    : `comparing all rules in effect with ${first} alone, as if it replaced them`;
  return {
    before: before.rules,
    after: after.rules,
    notRead: [...before.notRead, ...after.notRead],
    remarks: [remark, ...applied.warnings],
  };
}

function applyTo(...[content, namespace]: Parameters<typeof afterApply>): ReturnType<typeof afterApply> {
  try {
    return afterApply(content, namespace);
  } catch (error) {
    return asConfigurationError(error);
  }
}

function isOfFile({ origin }: Problem): boolean {
  return origin.source.kind === 'file';
}

function render(
  before: RuleSet,
  after: RuleSet,
  comparison: RuleComparison,
  { output, quiet }: ClusterDiffOptions,
  { paint }: Terminal,
): string {
  if (output === 'table') return renderWorkloadChanges(comparison, { paint: paint.out, quiet: quiet === true });
  const { rules, changes, copies, excluded, notEvaluated, notRead, summary } = comparison;
  const document = {
    rulesRevision: { before: before.revision, after: after.revision },
    rules: rules.map(ruleChangeEntry),
    changes,
    copies,
    excluded,
    notEvaluated,
    notRead,
    summary,
  };
  return output === 'json' ? `${printJson(document, 2)}\n` : renderMachine(document, output);
}
