/** The reasons why an Event was not written, as labels of a metric. A test compares docs/metrics.md with them. */
export const eventDrops = {
  'queue-full':
    'This replica already has 20 Events queued for the namespace, or 1,000 in total. It writes at most 1 Event per second per namespace, and 20 per second in total.',
  'owner-unverified': "The Pod's owner does not exist, has a different UID, or is of a kind that regkeeper cannot read.",
  'namespace-deleted': 'The namespace is being deleted.',
  forbidden: 'regkeeper lacks a permission. See the regkeeper log.',
  failed: 'The API server rejected the Event, or could not be reached in three attempts.',
} as const;

export type EventDrop = keyof typeof eventDrops;
