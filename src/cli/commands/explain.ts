/** `explain`: prints which rule decides on an image, and why. */
import { existsSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { asConfigurationError } from '../../app/as-configuration-error.ts';
import { soften } from '../../decision/decide.ts';
import type { ImageEvaluation } from '../../decision/decision.ts';
import { effectiveSettings, evaluateImage, warnAboutHost } from '../../decision/evaluate-image.ts';
import { describeEvaluation, registriesVary, renderContact, renderHelp } from '../../decision/message.ts';
import { readStandardInput } from '../../evaluate/read-manifests.ts';
import { maskUserinfo, quote } from '../../image/problem.ts';
import { canonicalName, type ImageReference } from '../../image/reference.ts';
import { escapeControls } from '../../object/text.ts';
import { auditOrigin, auditRule } from '../../observe/audit/audited-rule.ts';
import { renderOrigin, renderOriginInConfigMap } from '../../rules/language/problem.ts';
import { deliveredSecret, entitlement } from '../../rules/match/entitlement.ts';
import { explainMatch, type RuleCandidate } from '../../rules/match/explain-match.ts';
import type { DeliveredSecret, NamespaceContext, NamespaceSettings, RuleSet } from '../../rules/rule-set.ts';
import { shortNamesFor } from '../../rules/short-names.ts';
import { ConfigurationError } from '../../settings/configuration-error.ts';
import { type ClusterChoice, type ConnectAction, rejectLiveOptions } from '../input/live-objects.ts';
import {
  contextOption,
  dateOption,
  kubeconfigOption,
  namespaceOption,
  quietOption,
  regkeeperNamespaceOption,
  rulesOption,
} from '../input/options.ts';
import { readRulesOption } from '../input/rules-from-files.ts';
import { helpNotes } from '../line/help-text.ts';
import { explainImageName } from '../output/explain-image-name.ts';
import { type MachineFormat, outputOption, renderMachine } from '../output/machine-output.ts';
import type { Paint } from '../output/paint.ts';
import type { ExitCode, Terminal } from '../terminal.ts';

type ExplainOptions = ClusterChoice & {
  readonly rules?: readonly string[];
  readonly cluster?: true;
  readonly regkeeperNamespace: string;
  readonly namespace?: string;
  readonly namespaceLabel?: Readonly<Record<string, string>>;
  /** False for `--no-namespace-labels`. */
  readonly namespaceLabels: boolean;
  readonly push?: true;
  readonly date?: number;
  readonly output: 'table' | MachineFormat;
  readonly quiet?: true;
};

export function explainCommand(terminal: Terminal, finish: (code: ExitCode) => void, connect: ConnectAction): Command {
  return new Command('explain')
    .argument('<images...>', 'images, or - to read one per line from standard input')
    .addOption(rulesOption())
    .addOption(new Option('--cluster', 'use the rules and namespace labels of a cluster').conflicts('rules'))
    .addOption(namespaceOption('set the namespace of the workload (default: "default")'))
    .addOption(new Option('--namespace-label <key=value...>', 'set the labels of the namespace').argParser(addLabels))
    .addOption(new Option('--no-namespace-labels', 'evaluate as if the namespace had no labels').conflicts('namespaceLabel'))
    .addOption(new Option('--push', 'evaluate images as pushed by a build'))
    .addOption(dateOption())
    .addOption(kubeconfigOption('with --cluster: '))
    .addOption(contextOption('with --cluster: '))
    .addOption(regkeeperNamespaceOption('with --cluster: '))
    .addOption(outputOption())
    .addOption(quietOption())
    .addHelpText('after', helpNotes({ examples, exitCodes }))
    .action(async (images: readonly string[], options: ExplainOptions) => finish(await explainImages(images, options, terminal, connect)));
}

const examples = [
  { does: 'Explain an image', line: 'regkeeper explain --rules deploy/examples/rules nginx' },
  { does: 'Explain a denial in a cluster', line: 'regkeeper explain --cluster -n shop docker.io/acme/report:1.4' },
  {
    does: 'Explain an image in a namespace with labels',
    line: 'regkeeper explain --rules deploy/examples/rules -n payments --namespace-label team=payments quay.io/payments/api:1.0',
  },
  { does: 'Explain every image in a list', line: 'cat images.txt | regkeeper explain --rules deploy/examples/rules -' },
];

const exitCodes = [
  'every image is allowed',
  'an image is denied or invalid, or its result is uncertain',
  'the rules or usage are invalid, or a file is unreadable. With --cluster: something could not be read',
];

async function explainImages(
  words: readonly string[],
  options: ExplainOptions,
  terminal: Terminal,
  connect: ConnectAction,
): Promise<ExitCode> {
  const { output, quiet, rules: paths = [] } = options;
  if (!options.cluster) rejectLiveOptions(options);
  if (!options.cluster && paths.length === 0) {
    throw new ConfigurationError('specify --rules FILES, or --cluster for the rules in effect in a cluster');
  }
  const inputs = words.filter((word) => word === '-').length;
  if (inputs + paths.filter((path) => path === '-').length > 1) throw new ConfigurationError('standard input (-) can be used only once');
  rejectFiles(words, paths);
  const basis = await (options.cluster ? readFromCluster(options, terminal, connect) : readFromFiles(paths, options, terminal));
  if (!basis) return 2;
  const listed = inputs > 0 ? linesOf(await readStandardInput().catch(asConfigurationError)) : [];
  const images = words.flatMap((word) => (word === '-' ? listed : [word]));
  if (images.length === 0) throw new ConfigurationError('standard input contains no images');
  const explanations = images.map((image) => explain(image, basis, options));
  if (output === 'table') {
    const shown = quiet ? explanations.filter(isFinding) : explanations;
    terminal.out(shown.map((explanation) => renderExplanation(explanation, options, terminal.paint.out)).join('\n'));
  } else {
    const documents = explanations.map((explanation) => ({ ...machineOutput(explanation), ...(basis.excluded && { excluded: true }) }));
    // One argument is one object, so that scripts need not unpack it. A list stays a list, however many lines it has.
    terminal.out(renderMachine(words.length === 1 && inputs === 0 ? documents[0] : documents, output));
  }
  if (basis.incomplete) return 2;
  return explanations.some(isFinding) ? 1 : 0;
}

/** What an image is evaluated with. `labels` are those of the namespace, undefined if they are unknown. */
type Basis = {
  readonly rules: RuleSet;
  readonly labels: Readonly<Record<string, string>> | undefined;
  /** Whether the webhooks exclude the namespace. */
  readonly excluded?: boolean;
  /** Whether some rules could not be read. */
  readonly incomplete?: boolean;
};

async function readFromFiles(paths: readonly string[], options: ExplainOptions, terminal: Terminal): Promise<Basis | undefined> {
  const rules = await readRulesOption(paths, terminal, options).catch((error: unknown) => {
    // The option accepts several paths, so it also takes images that follow them.
    const image = error instanceof ConfigurationError && paths.slice(1).find((path) => error.message.startsWith(`rules ${path}: `));
    if (!image) throw error;
    throw new ConfigurationError(`${error.message}. If ${JSON.stringify(image)} is an image, put it before --rules`);
  });
  return rules && { rules, labels: labelsIn(options) };
}

async function readFromCluster(options: ExplainOptions, terminal: Terminal, connect: ConnectAction): Promise<Basis | undefined> {
  // Imported on demand, since most runs need no cluster.
  const { readRulesAndLabels } = await import('./explain-cluster.ts');
  return readRulesAndLabels({ ...options, namespace: options.namespace ?? 'default', labels: labelsIn(options) }, terminal, connect);
}

function labelsIn({ namespaceLabel, namespaceLabels }: ExplainOptions): Basis['labels'] {
  return namespaceLabel ?? (namespaceLabels ? undefined : {});
}

function isFinding({ evaluation, unsure }: Explanation): boolean {
  return evaluation.outcomeBeforeMode === 'denied' || unsure.length > 0;
}

/** Blank lines and comments do not count. */
function linesOf(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** A shell that replaces `--rules *.yaml` passes files where images are expected. */
function rejectFiles(images: readonly string[], rules: readonly string[]): void {
  const file = images.find((image) => /\.(ya?ml|json)$/.test(image) && existsSync(image));
  if (file === undefined) return;
  throw new ConfigurationError(`${file} is a file, not an image. Repeat --rules: --rules ${[...rules, file].join(' --rules ')}`);
}

/** Accepts several labels with commas, as `kubectl get -l`. A label has none in its key or value. */
function addLabels(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const labels = text.split(',').map((label) => {
    const [, key, value] = /^([^=]+)=(.*)$/.exec(label) ?? [];
    if (key === undefined || value === undefined) throw new InvalidArgumentError('Use key=value, such as team=a.');
    return [key, value] as const;
  });
  return { ...before, ...Object.fromEntries(labels) };
}

type Explanation = {
  readonly image: string;
  readonly action: 'pull' | 'push';
  readonly place: NamespaceContext;
  readonly evaluation: ImageEvaluation;
  readonly settings: NamespaceSettings;
  /** False if the namespace's unknown labels could change the settings. */
  readonly settingsCertain: boolean;
  readonly pullSecrets: readonly string[];
  readonly pushSecret: string | undefined;
  /** Those of the secrets that have an entry in `secrets`, with that entry and whether the namespace may have a copy. */
  readonly deliveries: readonly SecretDelivery[];
  /** How the image name was read, one sentence per part. */
  readonly nameExplanation: readonly string[];
  /** All rules that match the image, in descending precedence. */
  readonly candidates: readonly RuleCandidate[];
  /** Positions of rules and settings that select by the namespace's unknown labels. */
  readonly unsure: readonly string[];
  readonly message: string;
  readonly contact: string | undefined;
  /** Whom to ask and where to read more, as denials and Events show it. Empty for an allowed image. */
  readonly remedy: string;
};

type SecretDelivery = { readonly secret: DeliveredSecret; readonly entitled: boolean | 'unknown' };

function explain(image: string, { rules, labels }: Basis, { namespace = 'default', push, date }: ExplainOptions): Explanation {
  const place: NamespaceContext = { namespace, labels };
  const { value: settings, unsure: unsureSettings } = rules.settingsAt(place);
  const action = push ? 'push' : 'pull';
  const shortNames = shortNamesFor({ action }, rules.settings.shortNames);
  const evaluation = warnAboutHost(evaluateImage(image, { rules, place, settings, shortNames, facts: { now: () => date ?? Date.now() } }));
  const { reference, problem, trustedBy } = evaluation;
  const description = describeEvaluation(evaluation, { place, nearest: rules.nearest, variesByNamespace: registriesVary(rules) });
  const secretsNamed = trustedBy.some(({ pullSecrets, pushSecret }) => pullSecrets.length > 0 || pushSecret !== undefined);
  const unsureHere = unsureSettings ? effectiveSettings(unsureSettings, [evaluation], secretsNamed) : [];
  const pullSecrets = [...new Set(trustedBy.flatMap((rule) => rule.pullSecrets))];
  const pushSecret = trustedBy.find((rule) => rule.pushSecret !== undefined)?.pushSecret;
  const named = new Set(pushSecret === undefined ? pullSecrets : [...pullSecrets, pushSecret]);
  const origins = [...unsureHere, evaluation.unsure].filter((origin) => origin !== undefined).map(renderOrigin);
  return {
    image: maskUserinfo(image),
    action,
    place,
    evaluation,
    settings,
    settingsCertain: unsureSettings === undefined,
    pullSecrets,
    pushSecret,
    deliveries: [...named].flatMap((name) => deliveryOf(name, rules, place)),
    nameExplanation: reference ? explainImageName(image, evaluation, { shortNames }) : [],
    candidates: reference ? explainMatch(rules, reference, place, evaluation.rule) : [],
    unsure: [...new Set(origins)],
    // The message of a problem already begins with the image.
    message: problem ? description : `${quote(maskUserinfo(image))} ${description}`,
    contact: rules.settings.contact,
    remedy: evaluation.outcomeBeforeMode === 'allowed' ? '' : [renderContact(rules), renderHelp(rules)].filter(Boolean).join(' '),
  };
}

function deliveryOf(name: string, rules: RuleSet, place: NamespaceContext): readonly SecretDelivery[] {
  const secret = deliveredSecret(rules, name);
  if (!secret) return [];
  const { value, unsure } = entitlement(rules, name, place);
  return [{ secret, entitled: value ? true : unsure ? 'unknown' : false }];
}

/** The output for programs, documented in docs/tools.md and stable. Fields without a value are null. */
function machineOutput({ image, action, place, evaluation, settings, ...explanation }: Explanation) {
  const { pullSecrets, pushSecret, deliveries, candidates, unsure, message } = explanation;
  const { verdict, reason, outcomeBeforeMode, reference, rule, exemption } = evaluation;
  return {
    image,
    canonical: reference ? canonicalName(reference) : null,
    reference: reference ? referenceOutput(reference) : null,
    namespace: place.namespace,
    action,
    verdict,
    reason,
    outcome: soften(outcomeBeforeMode, settings.mode),
    rule: rule ? auditRule(rule) : null,
    pullSecrets,
    pushSecret: pushSecret ?? null,
    delivered: deliveries.flatMap(({ secret, entitled }) => (entitled === true ? [{ name: secret.name, deliver: secret.deliver }] : [])),
    exemption: exemption ? { until: exemption.until, reason: exemption.reason, source: auditOrigin(exemption.origin) } : null,
    settings,
    searched: (evaluation.searched ?? []).map(canonicalName),
    others: candidates
      .filter(({ lost }) => lost !== undefined)
      .map(({ rule: other, lost }) => ({ ...auditRule(other), pattern: other.pattern.text, trust: other.trust, why: lost })),
    uncertain: unsure,
    message,
    contact: explanation.contact ?? null,
  };
}

function referenceOutput({ host, port, path, tag, digest }: ImageReference) {
  return { host, port: port ?? null, path: path.join('/'), tag: tag ?? null, digest: digest ?? null };
}

/** The output for people: one line per fact, then the other rules that match the image. */
function renderExplanation(explanation: Explanation, { namespace }: ExplainOptions, paint: Paint): string {
  const { image, action, place, evaluation, settings, settingsCertain, nameExplanation, candidates, unsure, message } = explanation;
  const [winner, others] = [candidates.find(({ lost }) => lost === undefined), candidates.filter(({ lost }) => lost !== undefined)];
  const rows: readonly (readonly [string, string])[] = [
    ['image', escapeControls(image)],
    ...nameExplanation.map((sentence, index) => [index === 0 ? 'parsed as' : '', sentence] as const),
    ['namespace', `${place.namespace}${namespace === undefined ? ' (choose another with -n)' : ''}, ${renderLabels(place)}`],
    ['verdict', `${evaluation.verdict}: ${renderOutcome(evaluation, settings, paint)}`],
    ...(winner ? [['decided by', `${describeRule(winner)}`] as const, ['', because(winner, others)] as const] : []),
    ...secretRows(explanation),
    [
      'settings',
      `mode ${settings.mode}, unconfigured ${settings.unconfigured}, inject ${settings.inject}${settingsCertain ? '' : ' (may differ by namespace labels)'}`,
    ],
    ['message', message],
    ...(explanation.remedy === '' ? [] : [['', explanation.remedy] as const]),
    ...unsure.map(
      (origin) =>
        [
          'uncertain',
          `${origin} selects namespaces by label, and the labels are unknown. The strictest result is shown. Pass --namespace-label key=value or --no-namespace-labels.`,
        ] as const,
    ),
  ];
  const lines = rows.map(([name, text]) => `${name.padEnd(indent)}${text}`.trimEnd());
  if (others.length > 0) {
    lines.push('', winner ? 'other matching rules, most specific first:' : 'matching rules, none of which apply:');
    for (const other of others) lines.push(`  ${describeRule(other)}`, `    ${other.lost}`);
  }
  return `${lines.join('\n')}\n`;

  function secretRows({ pullSecrets, pushSecret, deliveries }: Explanation): readonly (readonly [string, string])[] {
    if (evaluation.verdict !== 'trusted') return [];
    const notWritten = settings.inject === 'off' ? ' (not injected: inject is off)' : '';
    const pull = ['pull secret', pullSecrets.length > 0 ? pullSecrets.map(withDelivery).join(', ') + notWritten : 'none'] as const;
    const push = ['push secret', pushSecret === undefined ? 'none' : withDelivery(pushSecret) + notWritten] as const;
    return action === 'push' ? [push, pull] : [pull, push];

    function withDelivery(name: string): string {
      const delivery = deliveries.find(({ secret }) => secret.name === name);
      return delivery ? `${name} (${describeDelivery(delivery)})` : name;
    }
  }
}

function describeDelivery({ secret, entitled }: SecretDelivery): string {
  if (entitled === 'unknown') return 'may be delivered, depending on namespace labels';
  if (!entitled) return 'not delivered to this namespace';
  return secret.deliver === 'always' ? 'always delivered' : 'delivered on demand';
}

const indent = 13;

function renderLabels({ labels }: NamespaceContext): string {
  if (!labels) return 'labels unknown';
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? 'no labels' : `labels ${pairs.join(', ')}`;
}

/** The outcome that follows from the verdict in this namespace. */
function renderOutcome({ outcomeBeforeMode, reason }: ImageEvaluation, { mode }: NamespaceSettings, paint: Paint): string {
  const outcome = soften(outcomeBeforeMode, mode);
  const softened = outcome === outcomeBeforeMode ? '' : `, because mode is ${mode}`;
  const texts = { allowed: 'allowed', warned: 'allowed with a warning', denied: 'denied' };
  return `${paint(outcome, texts[outcome])}${reason === 'exempted' ? ' by an exemption' : ''}${softened}`;
}

function describeRule({ rule }: RuleCandidate): string {
  const kind = rule.internal ? 'internal registry' : rule.trust ? 'trusts' : 'denies';
  const end = rule.until === undefined ? '' : ` until ${rule.until}`;
  const inConfigMap = renderOriginInConfigMap(rule.origin);
  const position = `${renderOrigin(rule.origin)}${inConfigMap === undefined ? '' : ` (${inConfigMap})`}`;
  return `rule "${rule.name}", ${position}: ${kind} ${rule.pattern.text}${end}`;
}

function because({ rule }: RuleCandidate, others: readonly RuleCandidate[]): string {
  const [second] = others;
  if (rule.internal) return 'internal registries are always trusted';
  if (!second) return 'no other rule matches';
  if (second.applies === true) return `over "${second.rule.name}", which ${second.lost}`;
  return 'no other rule applies in this namespace';
}
