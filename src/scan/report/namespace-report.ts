/** Builds a report (openreports.io/v1alpha1) for each namespace from a scan. Its size is limited, whatever the namespace contains. */
import { countOf } from '../../image/wording.ts';
import { shortenText } from '../../object/text.ts';
import { compareTexts } from '../../rules/compare-texts.ts';
import { renderPlace } from '../not-read.ts';
import type { WorkloadName } from '../read-workloads.ts';
import type { Scan, ScannedWorkload } from '../scan.ts';
import { type ReportStatus, reportStatuses, resultsOf, type WorkloadResult } from './workload-results.ts';

export const reportApi = 'openreports.io/v1alpha1';
/** Of each report. RBAC limits the account to it. */
export const reportName = 'regkeeper';
export const managedBy = { 'app.kubernetes.io/managed-by': 'regkeeper' } as const;

/** A Report, with the fields that are written. See https://openreports.io. */
export type NamespaceReport = {
  readonly apiVersion: typeof reportApi;
  readonly kind: 'Report';
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly source: string;
  readonly scope: { readonly apiVersion: 'v1'; readonly kind: 'Namespace'; readonly name: string };
  readonly configuration: { readonly limits: { readonly maxResults: number } };
  /** Of all results, shown or not. */
  readonly summary: Readonly<Record<ReportStatus, number>>;
  /** What could not be read first, then the worst. */
  readonly results: readonly ReportResult[];
};

export type ReportResult = {
  readonly policy: string;
  readonly rule?: string;
  readonly category: string;
  readonly severity?: 'high' | 'medium';
  readonly result: ReportStatus;
  readonly scored: boolean;
  readonly timestamp: { readonly seconds: number; readonly nanos: number };
  readonly message: string;
  readonly resources?: readonly WorkloadName[];
  readonly properties?: Readonly<Record<string, string>>;
};

/** A report must fit into an object of etcd, which accepts 1.5 MiB, and a scan of all namespaces into a few of them. */
const maxResults = 500;
const maxResultBytes = 384 * 1024;

/** Objects without a namespace have no report. `now` is in milliseconds since 1970. */
export function buildReports(scan: Scan, now: number): readonly NamespaceReport[] {
  const groups = Map.groupBy(scan.workloads, ({ namespace }) => namespace);
  for (const { namespace } of scan.notEvaluated) if (!groups.has(namespace)) groups.set(namespace, []);
  const gapsIn = createGaps(scan);
  return [...groups]
    .filter(([namespace]) => namespace !== '')
    .sort(([one], [other]) => compareTexts(one, other))
    .map(([namespace, workloads]) => reportOf(namespace, workloads, { ...scan, gaps: gapsIn(namespace), now }));
}

export type ScannedCluster = {
  readonly found: Scan;
  readonly isCovered: (namespace: string) => boolean;
  /** Why it is not certain that a namespace that is not covered is excluded. */
  readonly scopeGap: string | undefined;
};

/**
 * What replaces the report of a namespace in which the scan found no workload: only an error, if it may have some. Undefined if it certainly
 * has none, or is excluded.
 */
export function createReplacements({ found, isCovered, scopeGap }: ScannedCluster, now: number) {
  const gapsIn = createGaps(found);
  const gapsOfExcluded = scopeGap === undefined ? [] : [scopeGap];
  return (namespace: string): NamespaceReport | undefined => {
    const gaps = isCovered(namespace) ? gapsIn(namespace) : gapsOfExcluded;
    return gaps.length === 0 ? undefined : reportOf(namespace, [], { ...found, gaps, now });
  };
}

/** What the scan may have missed in a namespace, one sentence each. Names of objects in other namespaces are not shown there. */
function createGaps({ notRead, notEvaluated }: Pick<Scan, 'notRead' | 'notEvaluated'>): (namespace: string) => readonly string[] {
  const general = notRead.map((each) => `cannot read ${renderPlace(each)}: ${each.message}`);
  const own = Map.groupBy(notEvaluated, ({ namespace }) => namespace);
  return (namespace) => [...general, ...(own.get(namespace) ?? []).map(({ message }) => message)];
}

type Circumstances = Pick<Scan, 'rulesRevision'> & { readonly gaps: readonly string[]; readonly now: number };

function reportOf(namespace: string, workloads: readonly ScannedWorkload[], { rulesRevision, gaps, now }: Circumstances): NamespaceReport {
  const incomplete = gaps.length > 0 ? [incompleteResult(gaps, now)] : [];
  const results = workloads.flatMap((workload) => resultsOf(workload).map((each) => resultEntry(each, workload, now)));
  // The error comes first, so that it fits whatever the namespace contains.
  return report(namespace, [...incomplete, ...results.sort(byStatus)], { rulesRevision, now });
}

/** In place of a report whose namespace could not be evaluated, so that it does not show results of earlier rules. */
export function failedReport(namespace: string, why: string, now: number): NamespaceReport {
  return report(namespace, [errorResult(why, now)], { rulesRevision: undefined, now });
}

function report(
  namespace: string,
  all: readonly ReportResult[],
  { rulesRevision, now }: { readonly rulesRevision: string | undefined; readonly now: number },
): NamespaceReport {
  const results = whatFits(all);
  const omitted = all.length - results.length;
  return {
    apiVersion: reportApi,
    kind: 'Report',
    metadata: {
      name: reportName,
      namespace,
      labels: { ...managedBy, ...(rulesRevision !== undefined && { 'regkeeper.io/rules-revision': rulesRevision }) },
      annotations: {
        'regkeeper.io/evaluated-at': new Date(now).toISOString(),
        ...(omitted > 0 && { 'regkeeper.io/results-omitted': String(omitted) }),
      },
    },
    source: 'regkeeper',
    scope: { apiVersion: 'v1', kind: 'Namespace', name: namespace },
    configuration: { limits: { maxResults } },
    summary: countStatuses(all),
    results,
  };
}

function whatFits(all: readonly ReportResult[]): readonly ReportResult[] {
  let room = maxResultBytes;
  let count = 0;
  for (const result of all.slice(0, maxResults)) {
    room -= Buffer.byteLength(JSON.stringify(result)) + 1;
    if (room < 0) break;
    count += 1;
  }
  return all.slice(0, count);
}

function countStatuses(results: readonly ReportResult[]): NamespaceReport['summary'] {
  const counts = { fail: 0, error: 0, warn: 0, pass: 0, skip: 0 };
  for (const { result } of results) counts[result] += 1;
  return counts;
}

function byStatus(one: ReportResult, other: ReportResult): number {
  const rank = ({ result }: ReportResult) => reportStatuses.indexOf(result);
  const [left] = one.resources ?? [];
  const [right] = other.resources ?? [];
  return (
    rank(one) - rank(other) ||
    compareTexts(left?.kind ?? '', right?.kind ?? '') ||
    compareTexts(left?.name ?? '', right?.name ?? '') ||
    compareTexts(one.message, other.message)
  );
}

const policy = 'regkeeper';
const category = 'Image registries';
const severities: Readonly<Partial<Record<ReportStatus, 'high' | 'medium'>>> = { fail: 'high', warn: 'medium' };

function resultEntry(
  { status, rule, message, properties }: WorkloadResult,
  { apiVersion, kind, namespace, name }: WorkloadName,
  now: number,
): ReportResult {
  const level = severities[status];
  return {
    policy,
    ...(rule !== undefined && { rule: shortenText(rule) }),
    category,
    ...(level && { severity: level }),
    result: status,
    scored: status !== 'warn',
    timestamp: timestampOf(now),
    message: shortenText(message),
    resources: [{ apiVersion, kind, namespace, name }],
    properties: Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, shortenText(value)])),
  };
}

function incompleteResult(gaps: readonly string[], now: number): ReportResult {
  const [first = '', ...others] = gaps;
  const more = others.length > 0 ? `. ${countOf(others.length, 'more problem is', 'more problems are')} in the scan log` : '';
  return errorResult(`The report is incomplete: ${shortenText(first)}${more}`, now);
}

function errorResult(message: string, now: number): ReportResult {
  return { policy, category, result: 'error', scored: true, timestamp: timestampOf(now), message: shortenText(message) };
}

function timestampOf(now: number): ReportResult['timestamp'] {
  return { seconds: Math.floor(now / 1000), nanos: 0 };
}
