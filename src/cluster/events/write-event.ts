/** Writes one Event: a new object, or another occurrence in the object that a replica has written before. */
import { type ApiClient, ApiError, isNotFound } from '../../kube/api-client.ts';
import { type CoreEvent, type OfferedEvent, type Regarding, renderEvent, timestampOf } from './event.ts';

/** What is known of an Event since it was written. */
export type WrittenEvent = { readonly regarding: Regarding; readonly count: number; readonly resourceVersion: string };

export type EventToWrite = {
  readonly client: Pick<ApiClient, 'create' | 'request'>;
  readonly event: OfferedEvent;
  readonly regarding: Regarding;
  /** From the last time. The Event may have changed or expired since. */
  readonly known: WrittenEvent | undefined;
  readonly occurrences: number;
  readonly now: number;
};

/** Needs no permission to read Events: the answer to a patch contains the count. At most three requests. @throws ApiError */
export async function writeEvent(write: EventToWrite): Promise<WrittenEvent> {
  const { event, known } = write;
  if (event.ifExists !== 'count' || !known) return create(write);
  const updated = await addOccurrences(write, known);
  if (updated === 'expired') return create(write);
  return updated === 'changed' ? countAgain(write) : updated;
}

async function create(write: EventToWrite): Promise<WrittenEvent> {
  const { client, event, regarding, now, occurrences } = write;
  const object = renderEvent(event, regarding, now, occurrences);
  try {
    return resultOf(regarding, await client.create<CoreEvent>(`/api/v1/namespaces/${event.namespace}/events`, object));
  } catch (error) {
    if (!isConflict(error)) throw error;
  }
  switch (event.ifExists) {
    case 'keep':
      return { regarding, count: object.count, resourceVersion: '' };
    case 'refresh':
      return resultOf(regarding, await patch(write, { lastTimestamp: object.lastTimestamp }));
    case 'count':
      return countAgain(write);
  }
}

/** The first request reads the count, which another replica has changed. */
async function countAgain(write: EventToWrite): Promise<WrittenEvent> {
  const current = resultOf(write.regarding, await patch(write, { lastTimestamp: timestampOf(write.now) }));
  const updated = await addOccurrences(write, current);
  // The other replica was faster again. These occurrences are not counted, since nothing depends on the exact number.
  return typeof updated === 'string' ? current : updated;
}

/** `expired`: the Event no longer exists. `changed`: another replica has written it since. */
async function addOccurrences(
  write: EventToWrite,
  { count, resourceVersion }: WrittenEvent,
): Promise<WrittenEvent | 'expired' | 'changed'> {
  const { regarding, occurrences, now } = write;
  try {
    const change = { metadata: { resourceVersion }, count: count + occurrences, lastTimestamp: timestampOf(now) };
    return resultOf(regarding, await patch(write, change));
  } catch (error) {
    if (isConflict(error)) return 'changed';
    if (isNotFound(error)) return 'expired';
    throw error;
  }
}

function patch({ client, event, regarding, now }: EventToWrite, body: object): Promise<CoreEvent> {
  const { metadata } = renderEvent(event, regarding, now, 1);
  return client.request<CoreEvent>({
    method: 'PATCH',
    path: `/api/v1/namespaces/${metadata.namespace}/events/${metadata.name}`,
    body,
    contentType: 'application/merge-patch+json',
    timeoutMilliseconds: 5_000,
  });
}

function resultOf(regarding: Regarding, { count, metadata: { resourceVersion = '' } }: CoreEvent): WrittenEvent {
  return { regarding, count, resourceVersion };
}

function isConflict(error: unknown): boolean {
  return error instanceof ApiError && error.status === 409;
}
