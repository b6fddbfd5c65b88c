/** `explain`: prints which rule decides on an image, and why. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { soften } from '../../decision/decide.ts';
import type { ImageEvaluation } from '../../decision/decision.ts';
import { effectiveSettings, evaluateImage } from '../../decision/evaluate-image.ts';
import { describeEvaluation } from '../../decision/message.ts';
import { maskUserinfo, quote } from '../../image/problem.ts';
import { canonicalName, type ImageReference } from '../../image/reference.ts';
import { auditOrigin, auditRule } from '../../observe/audit/audited-rule.ts';
import { renderOrigin } from '../../rules/language/problem.ts';
import { explainMatch, type RuleCandidate } from '../../rules/match/explain-match.ts';
import type { NamespaceContext, NamespaceSettings, RuleSet } from '../../rules/rule-set.ts';
import { dateOption } from '../input/date-option.ts';
import { readRulesOption } from '../input/rules-from-files.ts';
import { explainImageName } from '../output/explain-image-name.ts';
import { type MachineFormat, outputOption, renderMachine } from '../output/machine-output.ts';
import type { ExitCode, Terminal } from '../terminal.ts';

type ExplainOptions = {
  readonly rules: readonly string[];
  readonly namespace?: string;
  readonly namespaceLabel?: Readonly<Record<string, string>>;
  /** False for `--no-namespace-labels`. */
  readonly namespaceLabels: boolean;
  readonly push?: true;
  readonly date?: number;
  readonly output: 'table' | MachineFormat;
};

export function explainCommand(terminal: Terminal, finish: (code: ExitCode) => void): Command {
  return new Command('explain')
    .argument('<image>', 'as it stands in an object')
    .addOption(new Option('--rules <paths...>', 'rules: files and folders').makeOptionMandatory())
    .addOption(new Option('-n, --namespace <name>', 'where it is used (default: default)'))
    .addOption(
      new Option('--namespace-label <key=value...>', 'labels of the namespace; all it has, where one is given').argParser(addLabel),
    )
    .addOption(new Option('--no-namespace-labels', 'the namespace has no labels'))
    .addOption(new Option('--push', 'a build pushes it'))
    .addOption(dateOption())
    .addOption(outputOption())
    .action(async (image: string, options: ExplainOptions) => {
      const rules = await readRulesOption(options.rules, terminal);
      if (!rules) return finish(2);
      const explanation = explain(image, rules, options);
      terminal.out(
        options.output === 'table' ? renderExplanation(explanation, options) : renderMachine(machineOutput(explanation), options.output),
      );
      finish(explanation.evaluation.outcomeBeforeMode === 'denied' || explanation.unsure.length > 0 ? 1 : 0);
    });
}

function addLabel(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const [, key, value] = /^([^=]+)=(.*)$/.exec(text) ?? [];
  if (key === undefined || value === undefined) throw new InvalidArgumentError('a label is written key=value, as team=a.');
  return { ...before, [key]: value };
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
  /** How the image name was read, one sentence per part. */
  readonly nameExplanation: readonly string[];
  /** All rules that match the image, in descending precedence. */
  readonly candidates: readonly RuleCandidate[];
  /** Positions of rules and settings that select by the namespace's unknown labels. */
  readonly unsure: readonly string[];
  readonly message: string;
};

function explain(
  image: string,
  rules: RuleSet,
  { namespace = 'default', namespaceLabel, namespaceLabels, push, date }: ExplainOptions,
): Explanation {
  const place: NamespaceContext = { namespace, labels: namespaceLabel ?? (namespaceLabels ? undefined : {}) };
  const { value: settings, unsure: unsureSettings } = rules.settingsAt(place);
  const evaluation = evaluateImage(image, { rules, place, settings, facts: { now: () => date ?? Date.now() } });
  const { reference, problem, trustedBy } = evaluation;
  const description = describeEvaluation(evaluation, { place, nearest: rules.nearest });
  const secretsNamed = trustedBy.some(({ pullSecrets, pushSecret }) => pullSecrets.length > 0 || pushSecret !== undefined);
  const unsureHere = unsureSettings ? effectiveSettings(unsureSettings, [evaluation], secretsNamed) : [];
  const origins = [...unsureHere, evaluation.unsure].filter((origin) => origin !== undefined).map(renderOrigin);
  return {
    image: maskUserinfo(image),
    action: push ? 'push' : 'pull',
    place,
    evaluation,
    settings,
    settingsCertain: unsureSettings === undefined,
    pullSecrets: [...new Set(trustedBy.flatMap(({ pullSecrets }) => pullSecrets))],
    pushSecret: trustedBy.find(({ pushSecret }) => pushSecret !== undefined)?.pushSecret,
    nameExplanation: reference ? explainImageName(image, evaluation, rules.settings) : [],
    candidates: reference ? explainMatch(rules, reference, place) : [],
    unsure: [...new Set(origins)],
    // The message of a problem already begins with the image.
    message: problem ? description : `${quote(maskUserinfo(image))} ${description}`,
  };
}

/** The output for programs, documented in docs/tools.md and stable. Fields without a value are null. */
function machineOutput({ image, action, place, evaluation, settings, pullSecrets, pushSecret, candidates, unsure, message }: Explanation) {
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
    exemption: exemption ? { until: exemption.until, reason: exemption.reason, source: auditOrigin(exemption.origin) } : null,
    settings,
    searched: (evaluation.searched ?? []).map(canonicalName),
    others: candidates
      .filter(({ lost }) => lost !== undefined)
      .map(({ rule: other, lost }) => ({ ...auditRule(other), pattern: other.pattern.text, trust: other.trust, why: lost })),
    unsure,
    message,
  };
}

function referenceOutput({ host, port, path, tag, digest }: ImageReference) {
  return { host, port: port ?? null, path: path.join('/'), tag: tag ?? null, digest: digest ?? null };
}

/** The output for people: one line per fact, then the other rules that match the image. */
function renderExplanation(explanation: Explanation, { namespace }: ExplainOptions): string {
  const { image, action, place, evaluation, settings, settingsCertain, nameExplanation, candidates, unsure, message } = explanation;
  const [winner, others] = [candidates.find(({ lost }) => lost === undefined), candidates.filter(({ lost }) => lost !== undefined)];
  const rows: readonly (readonly [string, string])[] = [
    ['image', image],
    ...nameExplanation.map((sentence, index) => [index === 0 ? 'understood' : '', sentence] as const),
    ['namespace', `${place.namespace}${namespace === undefined ? ' (none was given: -n)' : ''}, ${renderLabels(place)}`],
    ['verdict', evaluation.verdict + renderOutcome(evaluation, settings)],
    ...(winner ? [['decided by', `${describeRule(winner)}`] as const, ['', because(winner, others)] as const] : []),
    ...secretRows(explanation),
    [
      'settings',
      `mode ${settings.mode}, unconfigured ${settings.unconfigured}, inject ${settings.inject}${settingsCertain ? '' : ' (perhaps others, by labels)'}`,
    ],
    ['message', message],
    ...unsure.map(
      (origin) =>
        [
          'unsure',
          `${origin} selects by labels of the namespace, which are not known: judged strictly; give them with --namespace-label key=value, or --no-namespace-labels`,
        ] as const,
    ),
  ];
  const lines = rows.map(([name, text]) => `${name.padEnd(indent)}${text}`.trimEnd());
  if (others.length > 0) {
    lines.push('', `other rules that hold the image, ${winner ? 'the more specific first' : 'none of which decides'}:`);
    for (const other of others) lines.push(`  ${describeRule(other)}`, `    ${other.lost}`);
  }
  return `${lines.join('\n')}\n`;

  function secretRows({ pullSecrets, pushSecret }: Explanation): readonly (readonly [string, string])[] {
    if (evaluation.verdict !== 'trusted') return [];
    const notWritten = settings.inject === 'off' ? ' (not written into objects: inject off)' : '';
    const pull = ['pull secret', pullSecrets.length > 0 ? pullSecrets.join(', ') + notWritten : 'none needed'] as const;
    const push = ['push secret', pushSecret === undefined ? 'none named' : pushSecret + notWritten] as const;
    return action === 'push' ? [push, pull] : [pull, push];
  }
}

const indent = 13;

function renderLabels({ labels }: NamespaceContext): string {
  if (!labels) return 'labels not known';
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? 'without labels' : `labels ${pairs.join(', ')}`;
}

/** The outcome that follows from the verdict in this namespace. */
function renderOutcome({ outcomeBeforeMode, reason }: ImageEvaluation, { mode }: NamespaceSettings): string {
  const outcome = soften(outcomeBeforeMode, mode);
  const softened = outcome === outcomeBeforeMode ? '' : `, softened by mode ${mode}`;
  const texts = { allowed: 'allowed', warned: 'allowed with a warning', denied: 'denied' };
  return `: ${texts[outcome]}${reason === 'exempted' ? ' by an exemption' : ''}${softened}`;
}

function describeRule({ rule }: RuleCandidate): string {
  const kind = rule.internal ? 'internal registry' : rule.trust ? 'trusts' : 'refuses';
  return `rule "${rule.name}", ${renderOrigin(rule.origin)}: ${kind} ${rule.pattern.text}`;
}

function because({ rule }: RuleCandidate, others: readonly RuleCandidate[]): string {
  const [second] = others;
  if (rule.internal) return 'internal registries are trusted whatever rules say';
  if (!second) return 'no other rule holds the image';
  if (second.applies === true) return `over "${second.rule.name}", which ${second.lost}`;
  return 'no other rule holds the image in this namespace';
}
