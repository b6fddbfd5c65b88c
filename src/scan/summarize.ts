/** Counts the results of a scan: in all, by registry, by namespace, by finding, and by rule that ends. */
import type { Outcome } from '../decision/decision.ts';
import { severity } from '../decision/evaluate-image.ts';
import type { ReasonCode } from '../decision/reasons.ts';
import type { AuditedRule } from '../observe/audit/audited-rule.ts';
import { compareTexts } from '../rules/compare-texts.ts';
import type { WorkloadName } from './read-workloads.ts';
import { ruleKey, type Scan, type Scanned, type ScannedImage, type ScannedWorkload, type TrustEnd } from './scan.ts';

export type Affected = { readonly workloads: number; readonly pods: number; readonly namespaces: number };

export type ScanSummary = Affected & {
  /** Workloads. The uncertain ones are among the others. */
  readonly allowed: number;
  readonly warned: number;
  readonly denied: number;
  readonly uncertain: number;
  /** Pods that run now, and would certainly be denied if they were created again. */
  readonly deniedWhenRecreated: Affected;
  /** The same with `mode: enforce`, without those that are denied already. */
  readonly deniedOnceEnforced: Affected;
  /** Old ReplicaSets, and finished Jobs and Builds. */
  readonly idleCopies: number;
  readonly finishedPods: number;
};

export function summarize({ workloads, finishedPods }: Scan): ScanSummary {
  const count = (matches: (workload: ScannedWorkload) => boolean) => workloads.filter(matches).length;
  return {
    ...affected(workloads.map((workload) => ({ workload, pods: podsOf(workload) }))),
    allowed: count(({ outcome }) => outcome === 'allowed'),
    warned: count(({ outcome }) => outcome === 'warned'),
    denied: count(({ outcome }) => outcome === 'denied'),
    uncertain: count(({ uncertain }) => uncertain !== undefined),
    deniedWhenRecreated: runningPods(workloads, ({ outcome, uncertain }) => outcome === 'denied' && !uncertain),
    deniedOnceEnforced: runningPods(workloads, ({ outcome, outcomeIfEnforced }) => outcome !== 'denied' && outcomeIfEnforced === 'denied'),
    idleCopies: workloads.reduce((sum, { idleCopies }) => sum + idleCopies, 0),
    finishedPods,
  };
}

function podsOf({ pods }: ScannedWorkload, matches: (content: Scanned) => boolean = () => true): number {
  return pods.reduce((sum, { count, value }) => sum + (matches(value) ? count : 0), 0);
}

/** Workloads with Pods that match. */
function runningPods(workloads: readonly ScannedWorkload[], matches: (content: Scanned) => boolean): Affected {
  return affected(workloads.map((workload) => ({ workload, pods: podsOf(workload, matches) })).filter(({ pods }) => pods > 0));
}

export function affected(entries: readonly { readonly workload: Pick<WorkloadName, 'namespace'>; readonly pods: number }[]): Affected {
  return {
    workloads: entries.length,
    pods: entries.reduce((sum, { pods }) => sum + pods, 0),
    namespaces: new Set(entries.map(({ workload }) => workload.namespace)).size,
  };
}

/** Images of one registry that fare the same by the same rule. */
export type RegistryRow = Affected &
  Pick<ScannedImage, 'verdict' | 'outcome' | 'outcomeIfEnforced'> & {
    /** `host[:port]`. Absent for images that are not known, or have an invalid name. */
    readonly registry?: string;
    /** The rule that decides. */
    readonly rule?: AuditedRule;
    /** The last day of the trust, or of the exemption. */
    readonly until?: string;
    /** Different names. */
    readonly images: number;
  };

/** The worst first, then by registry. */
export function byRegistry({ workloads }: Pick<Scan, 'workloads'>): readonly RegistryRow[] {
  const groups = group(workloads, ({ images }) => images.map((image) => ({ key: registryKey(image), image })));
  const rows = groups.map(({ image, images, entries }): RegistryRow => {
    const { verdict, outcome, outcomeIfEnforced, rule } = image;
    const [registry, until] = [registryOf(image), untilOf(image)];
    return {
      ...(registry !== undefined && { registry }),
      verdict,
      outcome,
      ...(outcomeIfEnforced && { outcomeIfEnforced }),
      ...(rule && { rule }),
      ...(until !== undefined && { until }),
      images: images.size,
      ...affected(entries),
    };
  });
  return rows.sort((one, other) => compareVerdicts(one, other) || compareTexts(one.registry ?? '', other.registry ?? ''));
}

function registryKey(image: ScannedImage): string {
  return JSON.stringify([registryOf(image), image.verdict, ...effectOf(image)]);
}

export function registryOf({ canonical }: Pick<ScannedImage, 'canonical'>): string | undefined {
  return canonical?.slice(0, canonical.indexOf('/'));
}

/** The end of the trust, or of the exemption that allows the image. */
export function untilOf({ verdict, reason, rule, exemption }: ScannedImage): string | undefined {
  if (reason === 'exempted') return exemption?.until;
  return verdict === 'trusted' || reason === 'trust-ended' ? rule?.until : undefined;
}

function effectOf(image: ScannedImage): readonly unknown[] {
  return [image.outcome, image.outcomeIfEnforced, image.rule?.name, image.rule?.source, untilOf(image)];
}

export type NamespaceRow = ScanSummary & { readonly namespace: string };

/** Sorted by name. */
export function byNamespace({ workloads, ...scan }: Scan): readonly NamespaceRow[] {
  const groups = Map.groupBy(workloads, ({ namespace }) => namespace);
  return [...groups]
    .map(([namespace, own]) => ({ namespace, ...summarize({ ...scan, finishedPods: 0, workloads: own }) }))
    .sort((one, other) => compareTexts(one.namespace, other.namespace));
}

/** One thing that a policy owner or a developer should know, and everything that it concerns. */
export type Finding = Affected &
  Pick<ScannedImage, 'outcome' | 'outcomeIfEnforced'> & {
    /** A code of docs/reasons.md, `ends` for trust or an exemption with a last day, `warning`, or `uncertain`. */
    readonly finding: string;
    readonly rule?: AuditedRule;
    readonly until?: string;
    /** Of a warning: its code in docs/reasons.md. */
    readonly reason?: ReasonCode;
    /** The text of a warning, or what is missing to be certain. */
    readonly message?: string;
    readonly where: readonly (WorkloadName & { readonly pods: number; readonly images: readonly string[] })[];
  };

/** The worst first. */
export function byFinding({ workloads }: Pick<Scan, 'workloads'>): readonly Finding[] {
  const groups = group(workloads, findingsOf);
  const findings = groups.map(({ key, image, entries }): Finding => {
    const { finding, reason, message } = JSON.parse(key) as Pick<Finding, 'finding' | 'reason' | 'message'>;
    const until = untilOf(image);
    return {
      finding,
      outcome: image.outcome,
      ...(image.outcomeIfEnforced && { outcomeIfEnforced: image.outcomeIfEnforced }),
      ...(image.rule && { rule: image.rule }),
      ...(until !== undefined && { until }),
      ...(reason !== undefined && { reason }),
      ...(message !== undefined && { message }),
      ...affected(entries),
      where: entries.map(placeOf),
    };
  });
  return findings.sort((one, other) => compareVerdicts(one, other) || compareTexts(one.finding, other.finding));
}

/** What explains the outcome: images, or else the messages. */
function findingsOf({ images, messages, warnings = [], outcome, outcomeIfEnforced, uncertain = [] }: Scanned): readonly Keyed[] {
  const ofImages = images.flatMap((image): readonly Keyed[] => {
    const finding = findingOf(image);
    return finding === undefined ? [] : [{ key: JSON.stringify({ finding, effect: effectOf(image) }), image }];
  });
  const verdict = { outcome, ...(outcomeIfEnforced && { outcomeIfEnforced }) };
  const bare = (finding: string, message: string): Keyed => ({
    key: JSON.stringify({ finding, reason: warnings.find((warning) => warning.message === message)?.reason, message, effect: verdict }),
    image: { ...verdict, path: '', action: 'pull', verdict: '', reason: '' },
  });
  const isExplained = outcome === 'allowed' || images.some((image) => severity[image.outcome] >= severity[outcome]);
  return [
    ...uncertain.map((sentence) => bare('uncertain', sentence)),
    ...ofImages,
    ...(isExplained || uncertain.length > 0 ? [] : messages.map((message) => bare(outcome === 'denied' ? 'denied' : 'warning', message))),
  ];
}

function findingOf(image: ScannedImage): string | undefined {
  if (image.reason === 'trusted') return untilOf(image) === undefined ? undefined : 'ends';
  return image.outcome === 'allowed' && image.outcomeIfEnforced === undefined && image.reason !== 'exempted' ? undefined : image.reason;
}

type Keyed = { readonly key: string; readonly image: ScannedImage };
type Entry = { readonly workload: ScannedWorkload; pods: number; readonly images: Set<string> };
type Group = Keyed & { readonly images: Set<string>; readonly entries: Entry[] };

/** Groups what workloads contain. Each workload is one entry of a group, with the Pods that contain it. */
function group(workloads: readonly ScannedWorkload[], keysOf: (content: Scanned) => readonly Keyed[]): readonly Group[] {
  const groups = new Map<string, Group>();
  for (const workload of workloads) {
    const contents = [
      ...workload.templates.map((value) => ({ value, count: 0 })),
      ...workload.pods.map(({ value, count }) => ({ value, count })),
    ];
    for (const { value, count } of contents) {
      const counted = new Set<string>();
      for (const { key, image } of keysOf(value)) {
        const found = groups.get(key) ?? { key, image, images: new Set(), entries: [] };
        groups.set(key, found);
        const last = found.entries.at(-1);
        const entry = last?.workload === workload ? last : { workload, pods: 0, images: new Set<string>() };
        if (entry !== last) found.entries.push(entry);
        if (!counted.has(key)) entry.pods += count;
        counted.add(key);
        const name = image.image ?? image.stream ?? image.written;
        if (name !== undefined) {
          found.images.add(name);
          entry.images.add(name);
        }
      }
    }
  }
  return [...groups.values()];
}

/** A rule whose trust ends, and who is left: everything that has images of it. */
export type EndingRule = TrustEnd & Affected & Pick<Finding, 'where'>;

/** The first to end first. Also rules that nothing uses any more. */
export function byEndingRule({ workloads, ends }: Pick<Scan, 'workloads' | 'ends'>): readonly EndingRule[] {
  const keys = new Set(ends.map(({ rule }) => ruleKey(rule)));
  const groups = group(workloads, ({ images }) =>
    images.flatMap((image) => (image.rule && keys.has(ruleKey(image.rule)) ? [{ key: ruleKey(image.rule), image }] : [])),
  );
  const entriesOf = new Map(groups.map(({ key, entries }) => [key, entries]));
  return ends.map((end) => {
    const entries = entriesOf.get(ruleKey(end.rule)) ?? [];
    return { ...end, ...affected(entries), where: entries.map(placeOf) };
  });
}

function placeOf({ workload: { apiVersion, kind, namespace, name }, pods, images }: Entry): Finding['where'][number] {
  return { apiVersion, kind, namespace, name, pods, images: [...images].sort(compareTexts) };
}

function compareVerdicts(one: Verdict, other: Verdict): number {
  return rankOf(other) - rankOf(one);
}

type Verdict = { readonly outcome: Outcome; readonly outcomeIfEnforced?: Outcome };

function rankOf({ outcome, outcomeIfEnforced = outcome }: Verdict): number {
  return 10 * severity[outcome] + severity[outcomeIfEnforced];
}
