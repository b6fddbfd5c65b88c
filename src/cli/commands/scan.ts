/** `scan`: evaluates what runs in a cluster, and prints it by registry, namespace or finding. */
import { Command, Option } from 'commander';
import { isClean } from '../../evaluate/evaluate-object.ts';
import { countOf, formatCount } from '../../image/wording.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import { escapeControls } from '../../object/text.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import { type Installation, readInstallation } from '../../scan/installation.ts';
import { onPlatform, readLiveInputs, readRulesInCluster } from '../../scan/live-cluster.ts';
import { distinctNotRead, type NotRead } from '../../scan/not-read.ts';
import type { ScannedCluster } from '../../scan/report/namespace-report.ts';
import type { WrittenReports } from '../../scan/report/write-reports.ts';
import { type Scan, type ScannedWorkload, scan as scanCluster } from '../../scan/scan.ts';
import { byEndingRule, byFinding, byNamespace, byRegistry, summarize } from '../../scan/summarize.ts';
import { printJson } from '../../yaml/print-json.ts';
import { customKindsOption, readCustomKindsOption } from '../input/kinds-from-files.ts';
import { addLiveOptions, type ConnectAction, type LiveOptions, readWithProgress, withClient } from '../input/live-objects.ts';
import { dateOption, quietOption, rulesOption } from '../input/options.ts';
import { readRulesOption } from '../input/rules-from-files.ts';
import { helpNotes } from '../line/help-text.ts';
import { type MachineFormat, outputOption, renderMachine } from '../output/machine-output.ts';
import { renderProblems } from '../output/paint-problems.ts';
import { renderLiveRemarks, renderNotLoaded, renderNotRead, renderSentences } from '../output/render-live.ts';
import { type Grouping, groupings, renderScan, renderScanSummary } from '../output/render-scan.ts';
import type { ExitCode, Terminal } from '../terminal.ts';

type ScanOptions = LiveOptions & {
  readonly rules?: readonly string[];
  readonly by: Grouping;
  readonly date?: number;
  readonly customKinds?: readonly string[];
  readonly report?: true;
  readonly output: 'table' | MachineFormat;
  readonly quiet?: true;
};

export function scanCommand(terminal: Terminal, finish: (code: ExitCode) => void, connect: ConnectAction): Command {
  return addLiveOptions(new Command('scan'))
    .addOption(rulesOption("load rules from files instead of the cluster's ConfigMaps"))
    .addOption(new Option('--by <group>', 'group the results by registry, namespace or finding').choices(groupings).default('registry'))
    .addOption(dateOption())
    .addOption(customKindsOption())
    .addOption(outputOption())
    .addOption(
      new Option('--report', 'write the results to the cluster as Reports (openreports.io)').conflicts([
        'rules',
        'selector',
        'date',
        'by',
        'output',
      ]),
    )
    .addOption(quietOption())
    .addHelpText('after', helpNotes({ examples, exitCodes }))
    .action(async (options: ScanOptions) => {
      finish(await withClient(connect, options, (client) => (options.report ? scanReport : scan)(client, options, terminal)));
    });
}

const examples = [
  { does: 'Evaluate all workloads in a cluster with its current rules', line: 'regkeeper scan' },
  { does: 'List what a rule change would deny', line: 'regkeeper scan --rules deploy/examples/rules --by finding' },
  { does: 'Evaluate one namespace, as JSON', line: 'regkeeper scan -n shop -o json' },
  { does: 'Write a Report into each namespace', line: 'regkeeper scan --report' },
];

const exitCodes = [
  'everything is allowed',
  'an object is denied, or its result is uncertain',
  'some input could not be read or evaluated, or the rules or usage are invalid',
];

async function scan(client: ApiClient, options: ScanOptions, terminal: Terminal): Promise<ExitCode> {
  const { found } = (await evaluateCluster(client, options, terminal)) ?? {};
  if (!found) return 2;
  terminal.out(render(found, options, terminal));
  if (found.notRead.length + found.notEvaluated.length > 0) return 2;
  return found.workloads.every(isClean) ? 0 : 1;
}

/** Findings are in the Reports, so they are no failure of the process that writes them. */
async function scanReport(client: ApiClient, options: ScanOptions, terminal: Terminal): Promise<ExitCode> {
  // Imported on demand, since most scans write nothing.
  const { buildReports, createReplacements } = await import('../../scan/report/namespace-report.ts');
  const { servesReports, writeFailure, writeReports } = await import('../../scan/report/write-reports.ts');
  if (!(await servesReports(client))) {
    terminal.err(
      'regkeeper: the Report CRD (openreports.io/v1alpha1) is not installed in the cluster, so no Reports were written. Install it\n',
    );
    return 2;
  }
  const { namespace } = options;
  const now = Date.now();
  const evaluated = await evaluateCluster(client, options, terminal);
  const done = evaluated
    ? await writeReports(client, {
        reports: buildReports(evaluated.found, now),
        namespace,
        replacementFor: createReplacements(evaluated, now),
      })
    : await writeFailure(client, 'Nothing was evaluated, because the rules or the custom kinds could not be loaded.', namespace, now);
  const { found } = evaluated ?? {};
  terminal.err(done.problems.map((problem) => `regkeeper: cannot write a Report: ${escapeControls(problem)}\n`).join(''));
  if (!options.quiet) terminal.out(renderReportSummary(done, found, terminal));
  return found && found.notRead.length + found.notEvaluated.length + done.withoutResults + done.problems.length === 0 ? 0 : 2;
}

function renderReportSummary({ written, withoutResults, deleted }: WrittenReports, found: Scan | undefined, { paint }: Terminal): string {
  const summary = found ? renderScanSummary(summarize(found), found, paint.out) : '';
  const failed = withoutResults === 0 ? '' : ` (${formatCount(withoutResults)} with only an error)`;
  return `${summary}${countOf(written, 'Report')} written${failed}, ${formatCount(deleted)} deleted\n`;
}

/** Undefined if no rules could be loaded. What could not be read is on standard error. */
async function evaluateCluster(client: ApiClient, options: ScanOptions, terminal: Terminal): Promise<ScannedCluster | undefined> {
  const { namespace, regkeeperNamespace, selector: labelSelector, date: now = Date.now(), quiet = false } = options;
  const kinds = options.customKinds && (await readCustomKindsOption(options.customKinds, terminal));
  if (options.customKinds && !kinds) return undefined;
  const installation = await readInstallation(client, { namespace: regkeeperNamespace, kinds });
  const applied = await (options.rules ? fromFiles : fromCluster)(client, installation, options, terminal);
  if (!applied) return undefined;

  const { rules } = applied;
  const inputs = await readLiveInputs({
    client,
    installation,
    regkeeperNamespace,
    rules: [rules],
    namespace,
    readSecrets: !options.report,
    now,
  });
  const { facts, isCovered } = inputs;
  const live = { client, kinds: installation.kinds, namespace, labelSelector, isCovered };
  const found = await readWithProgress(terminal, (onProgress) => scanCluster({ ...live, rules, facts, onProgress }));
  const notRead = distinctNotRead([...installation.notRead, ...applied.notRead, ...inputs.notRead, ...found.notRead]);
  const complete = { ...found, notRead };

  terminal.err(renderNotRead(notRead, messagesOf(complete.notEvaluated)));
  if (!quiet) terminal.err(renderLiveRemarks(installation, [...applied.gaps, ...inputs.gaps, ...found.gaps]));
  return { found: complete, isCovered, scopeGap: installation.scope.gap };
}

/** `gaps`: what could not be read, and does not matter to the result. */
type AppliedRules = { readonly rules: RuleSet; readonly notRead: readonly NotRead[]; readonly gaps: readonly string[] };

async function fromFiles(
  _client: ApiClient,
  installation: Installation,
  { rules = [], ...options }: ScanOptions,
  terminal: Terminal,
): Promise<AppliedRules | undefined> {
  const written = await readRulesOption(rules, terminal, options);
  return (
    written && { rules: onPlatform(written, installation), notRead: [], gaps: installation.server.notRead.map(({ message }) => message) }
  );
}

/** Problems are of ConfigMaps whose last valid version applies, so they are no reason to stop. */
async function fromCluster(
  client: ApiClient,
  installation: Installation,
  { regkeeperNamespace: namespace }: ScanOptions,
  { err, paint }: Terminal,
): Promise<AppliedRules | undefined> {
  const inForce = await readRulesInCluster({ client, installation, namespace });
  err(renderProblems(inForce.problems, paint.err));
  if (inForce.ok) {
    err(renderSentences(inForce.fromSnapshot));
    return { ...inForce, gaps: [] };
  }
  err(renderNotLoaded(inForce.why));
  return undefined;
}

function render(found: Scan, { by, output, quiet }: ScanOptions, { paint }: Terminal): string {
  const summary = summarize(found);
  if (output === 'table') return `${renderScan(found, by, paint.out)}${quiet ? '' : renderScanSummary(summary, found, paint.out)}`;
  const { rulesRevision, workloads, excluded, notEvaluated, notRead } = found;
  const document = {
    rulesRevision,
    workloads: workloads.map(workloadEntry),
    registries: byRegistry(found),
    namespaces: byNamespace(found),
    findings: byFinding(found),
    endingRules: byEndingRule(found),
    excluded,
    notEvaluated: messagesOf(notEvaluated),
    notRead,
    summary,
  };
  return output === 'json' ? `${printJson(document, 2)}\n` : renderMachine(document, output);
}

function messagesOf(notEvaluated: Scan['notEvaluated']): readonly string[] {
  return notEvaluated.map(({ message }) => message);
}

function workloadEntry({ apiVersion, kind, namespace, name, templates, pods, idleCopies, ...verdict }: ScannedWorkload) {
  const object = { apiVersion, kind, namespace, name };
  return { object, ...verdict, templates, pods: pods.map(({ count, example, value }) => ({ count, example, ...value })), idleCopies };
}
