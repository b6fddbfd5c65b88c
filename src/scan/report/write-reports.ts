/** Writes the reports of a scan, and deletes those of namespaces that certainly have none any more. */
import { type ApiClient, ApiError, isNotFound, type KubeObject } from '../../kube/api-client.ts';
import { describeRequiredRole } from '../../kube/explain-api-error.ts';
import { failedReport, managedBy, type NamespaceReport, reportApi, reportName } from './namespace-report.ts';

export type WrittenReports = {
  readonly written: number;
  /** How many of them contain no results, only an error. */
  readonly withoutResults: number;
  readonly deleted: number;
  /** What could not be written, one sentence each. */
  readonly problems: readonly string[];
};

const resource = 'reports';
const fieldManager = 'regkeeper-report';
/** Requests at a time. The API server limits each client. */
const parallel = 4;

/** Whether the cluster has the kind. */
export function servesReports(client: Pick<ApiClient, 'hasResource'>): Promise<boolean> {
  return client.hasResource(reportApi, resource);
}

export type ReportsToWrite = {
  readonly reports: readonly NamespaceReport[];
  /** Only this one was scanned. */
  readonly namespace: string | undefined;
  /** What replaces the report of a namespace in which the scan found no workload. Undefined if it certainly has none, so its report is deleted. */
  readonly replacementFor: (namespace: string) => NamespaceReport | undefined;
};

/** @throws ApiError if the reports that exist cannot be listed */
export async function writeReports(client: ApiClient, { reports, namespace, replacementFor }: ReportsToWrite): Promise<WrittenReports> {
  const present = await listReports(client, namespace);
  const written = await attemptAll(reports, (report) => apply(client, report));
  const current = new Set(reports.map(({ metadata }) => metadata.namespace));
  const others = present
    .filter(({ metadata }) => !current.has(metadata.namespace ?? ''))
    .map((report) => ({ report, replacement: replacementFor(report.metadata.namespace ?? '') }));
  const replacements = others.flatMap(({ replacement }) => replacement ?? []);
  const replaced = await attemptAll(replacements, (report) => apply(client, report));
  const vanished = others.filter(({ replacement }) => !replacement).map(({ report }) => report);
  const deleted = await attemptAll(vanished, (report) => remove(client, report));
  return {
    written: written.done + replaced.done,
    withoutResults: replaced.done,
    deleted: deleted.done,
    problems: [written, replaced, deleted].flatMap(({ problems }) => problems),
  };
}

/** Replaces the results of all reports that exist, because they do not hold any more. */
export async function writeFailure(client: ApiClient, why: string, namespace: string | undefined, now: number): Promise<WrittenReports> {
  const present = await listReports(client, namespace);
  const reports = present.map(({ metadata }) => failedReport(metadata.namespace ?? '', why, now));
  const { done, problems } = await attemptAll(reports, (report) => apply(client, report));
  return { written: done, withoutResults: done, deleted: 0, problems };
}

async function listReports(client: ApiClient, namespace: string | undefined): Promise<readonly KubeObject[]> {
  const path = collectionPath(namespace);
  const labelSelector = Object.entries(managedBy)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  // RBAC can limit a list to a name only if the request has it.
  const query = { fieldSelector: `metadata.name=${reportName}`, labelSelector };
  const keep = ({ metadata: { name, namespace: place, uid, resourceVersion } }: KubeObject): KubeObject => {
    return { metadata: { name, namespace: place ?? '', ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) } };
  };
  const { items } = await client.list<KubeObject>(path, query, { keep });
  return items;
}

async function apply(client: ApiClient, report: NamespaceReport): Promise<string | undefined | false> {
  const path = `${collectionPath(report.metadata.namespace)}/${reportName}`;
  return attempt(['create', 'patch'], () => client.patchApply(path, report, { fieldManager, force: true }));
}

async function remove(client: ApiClient, { metadata }: KubeObject): Promise<string | undefined | false> {
  const { namespace, uid, resourceVersion } = metadata;
  const path = `${collectionPath(namespace)}/${reportName}`;
  return attempt(['delete'], () => client.delete(path, { preconditions: { uid, resourceVersion } }));
}

/** Undefined if it worked, false if the namespace or the report does not exist any more, or else the problem. */
async function attempt(verbs: readonly string[], work: () => Promise<unknown>): Promise<string | undefined | false> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (isNotFound(error) || error.message.includes('is being terminated')) return false;
    return error.status === 403
      ? `${error.message}. ${describeRequiredRole({ path: collectionPath(undefined), name: reportName, verbs })}`
      : error.message;
  }
}

function collectionPath(namespace: string | undefined): string {
  return `/apis/${reportApi}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${resource}`;
}

/** A few at a time. The problems are in the order of the items. */
async function attemptAll<Item>(
  items: readonly Item[],
  work: (item: Item) => ReturnType<typeof attempt>,
): Promise<{ readonly done: number; readonly problems: readonly string[] }> {
  const results: Awaited<ReturnType<typeof attempt>>[] = [];
  const left = items.entries();
  const worker = async () => {
    for (const [index, item] of left) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  return {
    done: results.filter((problem) => problem === undefined).length,
    problems: results.filter((problem) => typeof problem === 'string'),
  };
}
