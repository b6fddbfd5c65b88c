/** The results of one workload in a report: one for all images that fare the same by the same rule, and one for each other problem. */

import type { Outcome } from '../../decision/decision.ts';
import { severity } from '../../decision/evaluate-image.ts';
import { quote } from '../../image/problem.ts';
import { compareTexts } from '../../rules/compare-texts.ts';
import { renderLastDay } from '../../rules/trust-end.ts';
import { ruleKey, type Scanned, type ScannedImage, type ScannedWorkload } from '../scan.ts';
import { untilOf } from '../summarize.ts';

/** As OpenReports defines them, the worst first. */
export const reportStatuses = ['fail', 'error', 'warn', 'pass', 'skip'] as const;
export type ReportStatus = (typeof reportStatuses)[number];

export type WorkloadResult = {
  readonly status: ReportStatus;
  readonly rule?: string;
  readonly message: string;
  readonly properties: Readonly<Record<string, string>>;
};

type Group = { readonly image: ScannedImage; readonly names: Set<string>; readonly messages: Set<string>; pods: number };

/** Names in a result. A workload can have thousands of images. */
const shownImages = 5;

export function resultsOf({ templates, pods }: Pick<ScannedWorkload, 'templates' | 'pods'>): readonly WorkloadResult[] {
  const groups = new Map<string, Group>();
  const others = new Map<string, WorkloadResult>();
  const contents = [...templates.map((value) => ({ value, count: 0 })), ...pods.map(({ value, count }) => ({ value, count }))];
  for (const { value, count } of contents) {
    for (const other of otherProblems(value)) others.set(`${other.status} ${other.message}`, other);
    const counted = new Set<string>();
    for (const image of value.images) {
      const key = keyOf(image);
      const group = groups.get(key) ?? { image, names: new Set(), messages: new Set(), pods: 0 };
      groups.set(key, group);
      if (!counted.has(key)) group.pods += count;
      counted.add(key);
      group.names.add(image.image ?? image.stream ?? image.written ?? image.path);
      if (image.outcome !== 'allowed') for (const message of value.messages) group.messages.add(message);
    }
  }
  return [...[...groups.values()].map(resultOf), ...others.values()];
}

function keyOf(image: ScannedImage): string {
  const { outcome, outcomeIfEnforced, reason, rule } = image;
  return JSON.stringify([outcome, outcomeIfEnforced, reason, rule && ruleKey(rule), untilOf(image)]);
}

function resultOf({ image, names, messages, pods }: Group): WorkloadResult {
  const { outcome, outcomeIfEnforced, reason, rule } = image;
  const until = untilOf(image);
  const sorted = [...names].sort(compareTexts);
  const more = sorted.length - shownImages;
  const images = `${sorted.slice(0, shownImages).map(quote).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  const effect = outcomeIfEnforced === undefined ? outcome : `${outcomeIfEnforced} in enforce mode`;
  const text = `${images}: ${effect} (${reason})${renderLastDay(until, reason === 'trust-ended')}.`;
  return {
    status: statusOf(outcome, outcomeIfEnforced),
    ...(rule && { rule: rule.name }),
    message: [text, ...messages].join('\n'),
    properties: {
      reason,
      images: sorted.slice(0, shownImages).join(', '),
      pods: String(pods),
      ...(until !== undefined && { until }),
      ...(outcomeIfEnforced && { outcomeIfEnforced }),
    },
  };
}

/** What `mode` still allows is a warning: it is not scored. */
function statusOf(outcome: Outcome, outcomeIfEnforced: Outcome | undefined): ReportStatus {
  if (outcome === 'denied') return 'fail';
  return outcome === 'warned' || (outcomeIfEnforced !== undefined && outcomeIfEnforced !== 'allowed') ? 'warn' : 'pass';
}

/** What is uncertain, and what no image explains, such as a missing secret. */
function otherProblems({ images, messages, outcome, outcomeIfEnforced, uncertain = [] }: Scanned): readonly WorkloadResult[] {
  if (uncertain.length > 0) return uncertain.map((message) => ({ status: 'error', message, properties: { reason: 'uncertain' } }));
  if (outcome === 'allowed' || images.some((image) => severity[image.outcome] >= severity[outcome])) return [];
  return messages.map((message) => ({ status: statusOf(outcome, outcomeIfEnforced), message, properties: { reason: 'warning' } }));
}
