/** Reads live objects page by page, and groups what they contain by workload. No object is kept. */
import type { Manifest } from '../evaluate/parse-manifests.ts';
import { groupOf } from '../evaluate/platform-kinds.ts';
import type { ApiClient, KubeObject } from '../kube/api-client.ts';
import { isAbsent, isObject, type JsonObject, textAt, valueAt } from '../object/json.ts';
import type { Kinds } from '../object/kinds.ts';
import { controllerReferenceOf } from '../object/owner.ts';
import { type Collection, collectionsOf, pathOf, resourceName } from './collections.ts';
import { describeNotRead, type NotRead, renderPlace } from './not-read.ts';
import { creatorOf, isOver, podContent } from './pod-content.ts';

export type LiveObjects = {
  readonly client: ApiClient;
  readonly kinds: Kinds;
  /** All by default. */
  readonly namespace?: string | undefined;
  /** As in `kubectl get -l`. */
  readonly labelSelector?: string | undefined;
  /** Whether the webhooks receive requests of the namespace. */
  readonly isCovered: (namespace: string) => boolean;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
};

/** Objects of one resource. `remaining` is undefined if the server does not know it. */
export type Progress = { readonly resource: string; readonly objects: number; readonly remaining: number | undefined };

/** Called once for each template, and once for all Pods of a workload with equal content. Must not keep the object. */
export type Visit<Value> = (manifest: Manifest, user: string) => Value;

export type WorkloadName = { readonly apiVersion: string; readonly kind: string; readonly namespace: string; readonly name: string };

/** What one owner runs. Without an owner, a Pod is its own workload. */
export type Workload<Value> = WorkloadName & {
  /** What new Pods are made of. Several if a controller of an unknown kind has several ReplicaSets. */
  readonly templates: readonly Value[];
  /** The Pods that run, or will. */
  readonly pods: readonly PodGroup<Value>[];
  /** Copies without Pods: old ReplicaSets, and finished Jobs and Builds. */
  readonly idleCopies: number;
};

/** Pods with equal images and secrets. */
export type PodGroup<Value> = { readonly count: number; readonly example: string; readonly value: Value };

export type ReadWorkloads<Value> = {
  /** In the order in which they were read. */
  readonly workloads: readonly Workload<Value>[];
  /** Objects in namespaces that the webhooks do not receive. */
  readonly excluded: { readonly namespaces: readonly string[]; readonly objects: number };
  /** Pods that will not run any more. */
  readonly finishedPods: number;
  readonly notRead: readonly NotRead[];
  /** What could not be read, and runs nothing. One sentence each. */
  readonly gaps: readonly string[];
};

/** @throws ApiError if the API server cannot be reached, or rejects the credential */
export async function readWorkloads<Value>(live: LiveObjects, visit: Visit<Value>): Promise<ReadWorkloads<Value>> {
  const { client, kinds } = live;
  const readings: Reading<Value>[] = [];
  const notRead: NotRead[] = [];
  const gaps: string[] = [];
  const served = createDiscovery(client);
  for (const collection of collectionsOf(kinds)) {
    const place = { resource: resourceName(collection), namespace: live.namespace, path: pathOf(collection, live.namespace) };
    let reading = new Reading(collection, readings, live, visit);
    try {
      if (!(await served(collection))) continue;
      let objects = 0;
      await client.list<KubeObject>(
        place.path,
        { labelSelector: live.labelSelector },
        {
          onBegin: () => {
            reading = new Reading(collection, readings, live, visit);
            objects = 0;
          },
          keep: (object) => void reading.add(object as unknown as JsonObject),
          onPage: (page) => {
            objects += page.objects;
            live.onProgress?.({ resource: place.resource, objects, remaining: page.remaining });
          },
        },
      );
    } catch (error) {
      const missed = describeNotRead(error, { ...place, verb: 'list' });
      // No controller creates Pods from a PodTemplate, and the role `view` of Kubernetes does not include them.
      if (collection.kind === 'PodTemplate' && missed.code === 'forbidden')
        gaps.push(`cannot read ${renderPlace(missed)}: ${missed.message}`);
      else notRead.push(missed);
    }
    readings.push(reading);
  }
  return { ...combine(readings), notRead, gaps };
}

/** One request for each API. */
function createDiscovery(client: ApiClient): (collection: Collection) => Promise<boolean> {
  const known = new Map<string, Promise<ReadonlySet<string>>>();
  return async ({ apiVersion, resource }) => {
    const resources = known.get(apiVersion) ?? client.resourcesOf(apiVersion);
    known.set(apiVersion, resources);
    return (await resources).has(resource);
  };
}

type Part<Value> = { readonly workload: WorkloadName; pods: number; readonly example: string; readonly value: Value };

/** What was read of one collection. If its list starts over, so does the reading. */
class Reading<Value> {
  /** By workload and content. */
  readonly parts = new Map<string, Part<Value>>();
  /** The workload of each object that can own others. */
  readonly workloads = new Map<string, WorkloadName>();
  readonly idleCopies = new Map<string, number>();
  readonly excludedNamespaces = new Set<string>();
  excluded = 0;
  finishedPods = 0;
  private readonly collection: Collection;
  private readonly before: readonly Reading<Value>[];
  private readonly live: Pick<LiveObjects, 'kinds' | 'isCovered'>;
  private readonly visit: Visit<Value>;

  /** `before` are the collections that may contain owners. */
  constructor(
    collection: Collection,
    before: readonly Reading<Value>[],
    live: Pick<LiveObjects, 'kinds' | 'isCovered'>,
    visit: Visit<Value>,
  ) {
    this.collection = collection;
    this.before = [...before];
    this.live = live;
    this.visit = visit;
  }

  add(object: JsonObject): void {
    const namespace = textAt(object, ['metadata', 'namespace']) ?? '';
    if (!this.live.isCovered(namespace)) {
      this.excludedNamespaces.add(namespace);
      this.excluded += 1;
      return;
    }
    const { role, apiVersion, kind } = this.collection;
    const own = { apiVersion, kind, namespace, name: textAt(object, ['metadata', 'name']) ?? '' };
    if (role === 'pod') this.addPod(object, own);
    else if (role === 'copy') this.addCopy(object, own);
    else {
      this.workloads.set(keyOf(own), own);
      this.addTemplate(object, own, own);
    }
  }

  private addPod(pod: JsonObject, own: WorkloadName): void {
    if (isOver(pod)) {
      this.finishedPods += 1;
      return;
    }
    const user = creatorOf(pod);
    const workload = user === 'controller' ? (this.ownerOf(pod, own.namespace) ?? own) : own;
    const key = `${keyOf(workload)} ${podContent(pod, user, this.live.kinds)}`;
    const part = this.parts.get(key);
    if (part) part.pods += 1;
    else this.parts.set(key, { workload, pods: 1, example: own.name, value: this.visit(this.manifest(pod), user) });
  }

  private addCopy(copy: JsonObject, own: WorkloadName): void {
    const owner = this.ownerOf(copy, own.namespace);
    const workload = owner ?? own;
    if (owner && !isActive(copy)) {
      const key = keyOf(workload);
      this.idleCopies.set(key, (this.idleCopies.get(key) ?? 0) + 1);
      return;
    }
    this.workloads.set(keyOf(own), workload);
    // The owner's own template is evaluated. That of a kind that is not read is known only from its copies.
    if (!owner || !this.find(keyOf(owner))) this.addTemplate(copy, workload, own);
  }

  private addTemplate(object: JsonObject, workload: WorkloadName, own: WorkloadName): void {
    const value = this.visit(this.manifest(object), 'controller');
    this.parts.set(`${keyOf(workload)} ${own.kind} ${own.name}`, { workload, pods: 0, example: own.name, value });
  }

  /** The topmost owner that is known. Undefined without a controller. */
  private ownerOf(object: JsonObject, namespace: string): WorkloadName | undefined {
    const reference = controllerReferenceOf(object);
    if (!reference) return undefined;
    const { apiVersion, kind, name } = reference;
    const owner = { apiVersion, kind, namespace, name };
    return this.find(keyOf(owner)) ?? owner;
  }

  private find(key: string): WorkloadName | undefined {
    for (const reading of this.before) {
      const found = reading.workloads.get(key);
      if (found) return found;
    }
    return undefined;
  }

  /** Without the fields that no image is in, which are most of an object. It is copied where secrets are added. */
  private manifest({ metadata, status, ...object }: JsonObject): Manifest {
    const { apiVersion, kind } = this.collection;
    const { managedFields: _notRead, ...kept } = isObject(metadata) ? metadata : {};
    const hasImages = kind === 'ImageStream';
    return { apiVersion, kind, object: { ...object, metadata: kept, ...(hasImages && { status }) }, file: '', line: 0 };
  }
}

/** Without the version, since an owner reference may name another one. */
function keyOf({ apiVersion, kind, namespace, name }: WorkloadName): string {
  return `${kind}.${groupOf(apiVersion)} ${namespace}/${name}`;
}

/** Whether the copy has Pods, or should have some. */
function isActive(copy: JsonObject): boolean {
  switch (copy.kind) {
    case 'Job':
      return !isFinishedJob(copy);
    case 'Build': {
      const phase = textAt(copy, ['status', 'phase']);
      return phase === undefined || phase === 'New' || phase === 'Pending' || phase === 'Running';
    }
    default:
      // Without the field, the API server sets one replica.
      return valueAt(copy, ['spec', 'replicas']) !== 0 || ![undefined, null, 0].includes(valueAt(copy, ['status', 'replicas']) as number);
  }
}

function isFinishedJob(job: JsonObject): boolean {
  if (!isAbsent(valueAt(job, ['status', 'completionTime']))) return true;
  const conditions = valueAt(job, ['status', 'conditions']);
  return Array.isArray(conditions) && conditions.some((each) => textAt(each, ['type']) === 'Failed' && textAt(each, ['status']) === 'True');
}

function combine<Value>(readings: readonly Reading<Value>[]): Omit<ReadWorkloads<Value>, 'notRead' | 'gaps'> {
  const workloads = new Map<string, { name: WorkloadName; templates: Value[]; pods: PodGroup<Value>[] }>();
  for (const { parts } of readings) {
    for (const { workload, pods: count, example, value } of parts.values()) {
      const key = keyOf(workload);
      const found = workloads.get(key) ?? { name: workload, templates: [], pods: [] };
      workloads.set(key, found);
      if (count === 0) found.templates.push(value);
      else found.pods.push({ count, example, value });
    }
  }
  const idleCopiesOf = (key: string) => readings.reduce((sum, { idleCopies }) => sum + (idleCopies.get(key) ?? 0), 0);
  return {
    workloads: [...workloads].map(([key, { name, templates, pods }]) => ({ ...name, templates, pods, idleCopies: idleCopiesOf(key) })),
    excluded: {
      namespaces: [...new Set(readings.flatMap(({ excludedNamespaces }) => [...excludedNamespaces]))].sort(),
      objects: readings.reduce((sum, { excluded }) => sum + excluded, 0),
    },
    finishedPods: readings.reduce((sum, { finishedPods }) => sum + finishedPods, 0),
  };
}
