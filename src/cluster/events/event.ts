/** An Event about an object: what is reported, and the object of the API that it becomes. */
import { createHash } from 'node:crypto';
import { dnsLabel, dnsSubdomain } from '../../rules/language/label-grammar.ts';

/** The object that an Event is about, in the namespace of the Event. */
export type Regarding = { readonly apiVersion: string; readonly kind: string; readonly name: string; readonly uid: string };

export type EventText = {
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, for programs. */
  readonly reason: string;
  /** From `renderNote`. */
  readonly note: string;
};

/** An Event that waits to be written. It keeps no part of a request in memory. */
export type OfferedEvent = EventText & {
  readonly namespace: string;
  /** Events with the same key in one namespace are one: they are counted, or the last one replaces the others. */
  readonly key: string;
  /** What is different where the same text is reported again as another Event, such as the version of a ConfigMap. */
  readonly version?: string;
  /**
   * What happens to an Event that exists already. `count`: it has occurred again. `refresh`: it is still true, and would expire. `keep`:
   * another replica has written it.
   */
  readonly ifExists: 'count' | 'refresh' | 'keep';
  /** Looks up the object. Undefined if the Event must not be written. @throws ApiError */
  regarding(signal: AbortSignal): Promise<Regarding | undefined>;
};

export type CoreEvent = {
  readonly apiVersion: 'v1';
  readonly kind: 'Event';
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion?: string };
  readonly involvedObject: Regarding & { readonly namespace: string };
  readonly type: EventText['type'];
  readonly reason: string;
  readonly message: string;
  readonly source: { readonly component: string };
  readonly reportingComponent: string;
  readonly reportingInstance: string;
  readonly firstTimestamp: string;
  readonly lastTimestamp: string;
  readonly count: number;
};

/** `kubectl describe` shows it in the column "From". */
const component = 'regkeeper';

/**
 * An Event of the core API. kubectl sorts by `lastTimestamp`, which the API server rejects in Events of events.k8s.io
 * (kubernetes pkg/apis/core/validation/events.go, kubectl pkg/util/event).
 *
 * The name depends only on the content, so all replicas write the same Event.
 */
export function renderEvent(event: OfferedEvent, regarding: Regarding, at: number, count: number): CoreEvent {
  const { namespace, type, reason, note } = event;
  const time = timestampOf(at);
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: nameOf(event, regarding), namespace },
    involvedObject: { ...regarding, namespace },
    type,
    reason,
    message: note,
    source: { component },
    reportingComponent: component,
    reportingInstance: '',
    firstTimestamp: time,
    lastTimestamp: time,
    count,
  };
}

/** RFC 3339 in seconds, as the API server stores the times of Events. */
export function timestampOf(epochMilliseconds: number): string {
  return `${new Date(epochMilliseconds).toISOString().slice(0, 19)}Z`;
}

/** Whether two Events about the same object are one Event, of which only the count and the time change. */
export function isSameEvent(one: OfferedEvent, other: OfferedEvent): boolean {
  return one.type === other.type && one.reason === other.reason && one.note === other.note && one.version === other.version;
}

/** Readable like the names that Kubernetes gives to Events, and valid whatever the object is called. */
function nameOf({ type, reason, note, version = '' }: OfferedEvent, { apiVersion, kind, name, uid }: Regarding): string {
  const content = JSON.stringify([apiVersion, kind, name, uid, type, reason, note, version]);
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 16);
  const start = isObjectName(name) ? name.slice(0, longestName - hash.length - 1).replace(/[-.]+$/, '') : component;
  return `${start}.${hash}`;
}

const longestName = 253;
const objectName = new RegExp(`^${dnsSubdomain}$`);
const namespaceName = new RegExp(dnsLabel);

/** Whether the name can be part of a path. Kinds that regkeeper looks up have no other names. */
export function isObjectName(name: string): boolean {
  return name.length <= longestName && objectName.test(name);
}

export function isNamespaceName(name: string): boolean {
  return namespaceName.test(name);
}
