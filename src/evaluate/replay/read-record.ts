/** Reads one line of an audit log: a past request, a record that is no request, or why it cannot be evaluated again. */
import { type PastImage, type PastRequest, replayGaps } from '../../decision/replay.ts';
import { splitScheme } from '../../image/scheme.ts';
import { withoutVersion } from '../../image/without-version.ts';
import { isObject, type JsonObject } from '../../object/json.ts';
import { copiesOfOwners } from '../../object/workload.ts';

/** Who made a request, about what, and when. Texts are as long as in the record. */
export type RequestSubject = {
  /** RFC 3339 in UTC. */
  readonly time: string;
  readonly user: string;
  readonly group: string;
  readonly kind: string;
  readonly namespace: string;
  /** Empty if the API server had yet to generate it. */
  readonly name: string;
  readonly generateName?: string;
  /** The controlling owner. Names of its objects are random. */
  readonly owner?: { readonly kind: string; readonly name: string };
};

export type ReadRecord =
  /** `written`: the names of its images. The request has them without their versions, so that requests for different versions are equal. */
  | { readonly kind: 'request'; readonly subject: RequestSubject; readonly request: PastRequest; readonly written: readonly string[] }
  /** A request that introduces nothing, whatever the rules are. */
  | { readonly kind: 'without-images'; readonly subject: RequestSubject }
  /** Another record, or a line of the log between the records. */
  | { readonly kind: 'other' }
  | { readonly kind: 'gap'; readonly gap: RecordGap; readonly subject?: RequestSubject }
  /** `message` is a clause without the full stop. */
  | { readonly kind: 'broken'; readonly message: string };

/** Why a record cannot be replayed. The codes are stable, since they appear in machine output. docs/tools.md explains each. */
export const recordGaps = {
  'old-record': 'An earlier version of regkeeper wrote the record, without everything that replay needs.',
  'newer-record': 'A later version of regkeeper wrote the record.',
  'not-evaluated': 'The request could not be evaluated at that time (outcome `error`).',
  truncated: 'The record does not contain the whole request.',
  'image-stream': 'An image comes from an image stream, which may now contain a different image.',
  unresolved: 'An image was not known yet, such as one that an image trigger fills in.',
  ...replayGaps,
} as const;
export type RecordGap = keyof typeof recordGaps;

/** The version that this program writes. Earlier ones lack what replay needs. */
const schemaVersion = 2;

export function readRecord(line: string): ReadRecord {
  if (isOfMutatingWebhook(line)) return other;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return broken(`not JSON: ${JSON.stringify(line.length > 60 ? `${line.slice(0, 60)}…` : line)}`);
  }
  if (!isObject(value)) return broken('is not a JSON object');
  // A container's log mixes the records with the lines of the log.
  if (value.log !== 'audit')
    return typeof value.level === 'string' || typeof value.level === 'number' ? other : broken('is not an audit record');
  if (value.event !== 'decision') return typeof value.event === 'string' ? other : broken('has no event');
  if (value.webhook === 'mutate') return other;
  if (value.webhook !== 'validate') return broken('has no webhook');
  return readDecision(value);
}

const other: ReadRecord = { kind: 'other' };

/**
 * Whether the line is one whole record of the mutating webhook, as the server writes it. Half of the records are, and need not be parsed. In
 * doubt it returns false: also for a line in which `"webhook":` occurs again, as in two records of which one has lost its beginning.
 */
function isOfMutatingWebhook(line: string): boolean {
  const [beginning] = mutating.exec(line) ?? [];
  return beginning !== undefined && line.endsWith('}') && line.indexOf('"webhook":', beginning.length) < 0;
}

const mutating =
  /^\{"log":"audit","schemaVersion":\d+,"time":"[^"\\]*","event":"decision","uid":"[^"\\]*",(?:"traceparent":"[^"\\]*",)?"webhook":"mutate",/;

function broken(message: string): ReadRecord {
  return { kind: 'broken', message };
}

function readDecision(record: JsonObject): ReadRecord {
  const subject = readSubject(record);
  if (typeof subject === 'string') return broken(subject);
  if (typeof record.schemaVersion !== 'number') return broken('has no schemaVersion');
  if (record.schemaVersion < schemaVersion) return { kind: 'gap', gap: 'old-record', subject };
  if (record.schemaVersion > schemaVersion) return { kind: 'gap', gap: 'newer-record', subject };
  const { outcome, operation, images } = record;
  if (outcome === 'error') return { kind: 'gap', gap: 'not-evaluated', subject };
  if (!Array.isArray(images)) return broken('has no images');
  // DELETE and CONNECT introduce nothing, and are allowed without an evaluation.
  if (record.mode === undefined && images.length === 0) return { kind: 'without-images', subject };
  if (operation !== 'CREATE' && operation !== 'UPDATE') return broken('has no operation');
  if (record.truncated === true) return { kind: 'gap', gap: 'truncated', subject };

  const read: PastImage[] = [];
  const written: string[] = [];
  for (const image of images) {
    const past = readImage(image);
    if (past === 'image-stream' || past === 'unresolved') return { kind: 'gap', gap: past, subject };
    if (past === undefined) return broken(`has an image without text, action or "introduced"`);
    read.push(past);
    written.push((image as { readonly image: string }).image);
  }
  const { namespaceLabels, shortNames, secrets, suppliedSecrets } = record;
  return {
    kind: 'request',
    subject,
    written,
    request: {
      operation,
      namespace: subject.namespace,
      isPod: subject.group === '' && subject.kind === 'Pod',
      isStaticPod: record.staticPod === true,
      namespaceLabels: isObject(namespaceLabels) ? new Map(Object.entries(namespaceLabels) as [string, string | null][]) : undefined,
      shortNames: shortNames === 'reject' ? shortNames : Array.isArray(shortNames) ? (shortNames as string[]) : 'docker.io',
      hasSecrets: record.staticPod !== true && mayHaveSecrets(subject, operation),
      suppliedSecrets: Array.isArray(suppliedSecrets) ? suppliedSecrets.filter((name) => typeof name === 'string') : undefined,
      secrets: isObject(secrets) ? new Map(Object.entries(secrets) as [string, never][]) : noSecrets,
      images: read,
    },
  };
}

/** Nothing is written to image streams, to copies of an owner's template, and to Pods that exist. */
function mayHaveSecrets({ group, kind, owner }: RequestSubject, operation: 'CREATE' | 'UPDATE'): boolean {
  if (group === 'image.openshift.io' || (owner && copiesOfOwners.has(kind))) return false;
  return operation === 'CREATE' || group !== '' || kind !== 'Pod';
}

const noSecrets: PastRequest['secrets'] = new Map();

const texts = ['time', 'user', 'group', 'kind', 'namespace', 'name'] as const;

/** What is wrong with it, if it lacks something. */
function readSubject(record: JsonObject): RequestSubject | string {
  const missing = texts.find((field) => typeof record[field] !== 'string');
  if (missing !== undefined) return `has no ${missing}`;
  const { time, user, group, kind, namespace, name, generateName, owner } = record as unknown as RequestSubject;
  if (Number.isNaN(Date.parse(time))) return 'has no valid time';
  return {
    time,
    user,
    group,
    kind,
    namespace,
    name,
    ...(typeof generateName === 'string' && { generateName }),
    ...(isObject(owner) && typeof owner.kind === 'string' && typeof owner.name === 'string' && { owner }),
  };
}

/** Undefined if it is malformed. */
function readImage(value: unknown): PastImage | 'image-stream' | 'unresolved' | undefined {
  if (!isObject(value)) return undefined;
  if (value.stream !== undefined) return 'image-stream';
  if (value.verdict === 'unresolved') return 'unresolved';
  const { image, action, introduced, imported, lookupOnly, rule, canonical } = value;
  if (typeof image !== 'string' || (action !== 'pull' && action !== 'push') || typeof introduced !== 'boolean') return undefined;
  // That of a custom kind. If the record has no canonical name, the text was invalid.
  const withScheme = typeof canonical === 'string' ? splitScheme(image) : undefined;
  return {
    text: withoutVersion(withScheme?.name ?? image),
    ...(withScheme && { scheme: withScheme.scheme }),
    action,
    introduced,
    imported: imported === true,
    lookupOnly: lookupOnly === true,
    trustedByCluster: isObject(rule) && isObject(rule.source) && typeof rule.source.cluster === 'string',
  };
}
