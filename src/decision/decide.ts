import { formatReference, parseImage } from '../image/reference.ts';
import { isObject } from '../object/json.ts';
import { readObject } from '../object/kinds.ts';
import type { ImageSlot, ObjectShape } from '../object/shape.ts';
import type { Mode, Place, RuleSet } from '../rules/ruleset.ts';
import type { ChangeRequest, Decision, ImageDecision, Outcome } from './decision.ts';
import type { Facts } from './facts.ts';
import { injectIntoBuild } from './inject-build.ts';
import { injectIntoPod } from './inject-pod.ts';
import { mostListed, renderFinding } from './message.ts';

/**
 * Judges one change: which images it brings in, whether they may come in, and which secrets they need. Pure: the same request, rules and
 * facts give the same decision, so the mutating and the validating answer, the command line and the tests cannot disagree.
 */
export function decide(request: ChangeRequest, rules: RuleSet, facts: Facts): Decision {
  const context = {
    group: request.group,
    kind: request.kind,
    operation: request.operation,
    fromKubelet: request.user.startsWith('system:node:'),
  };
  const reading = readObject(context, request.object);
  if (reading.kind === 'unknown') return { kind: 'unknown-kind' };
  if (reading.kind === 'malformed') return { kind: 'malformed', problem: reading.problem };
  const { shape } = reading;

  const before = request.operation === 'UPDATE' ? imagesOf(readObject(context, request.oldObject)) : new Set<string>();
  const place = placeOf(request, facts);
  const images = shape.slots.map((slot) => judge(slot, shape, before, rules, place));

  const injection = isObject(request.object) ? inject(request, shape, images, facts) : { kind: 'injected' as const, ...nothing };
  if (injection.kind === 'not-yet') return injection;

  const judged = worst(images.map((image) => image.judged));
  const { mode } = rules.settings;
  const newPodsRefused = shape.kind === 'pod' && mode === 'enforce';
  const findings = images
    .filter((image) => image.judged !== 'allow')
    .sort((left, right) => severity[right.judged] - severity[left.judged])
    .map((image, index) => ({
      image,
      message: renderFinding(image, {
        nearest: index < mostListed ? (reference) => rules.nearest(reference, place) : undefined,
        newPodsRefused,
      }),
    }));
  return {
    kind: 'decided',
    images,
    judged,
    outcome: soften(judged, mode),
    mode,
    revision: rules.revision,
    patch: injection.patch,
    injected: injection.injected,
    notices: injection.notices,
    findings,
  };
}

function placeOf({ namespace }: ChangeRequest, facts: Facts): Place {
  const known = facts.namespace(namespace);
  return { namespace, labels: known.kind === 'known' ? known.labels : undefined };
}

const nothing = { patch: [], injected: [], notices: [] };

/** What `mode` makes of a refusal; it changes nothing else. */
export function soften(judged: Outcome, mode: Mode): Outcome {
  if (mode === 'audit') return 'allow';
  return judged === 'deny' && mode === 'warn' ? 'warn' : judged;
}

function inject(request: ChangeRequest, shape: ObjectShape, images: readonly ImageDecision[], facts: Facts) {
  return shape.kind === 'pod' ? injectIntoPod(request, shape, images, facts) : injectIntoBuild(request, shape, images);
}

function judge(slot: ImageSlot, shape: ObjectShape, before: ReadonlySet<string>, rules: RuleSet, place: Place): ImageDecision {
  const decision = judgeContent(slot, shape, rules, place);
  if (shape.kind === 'pod' && shape.untouchable === 'mirror') return weaken(decision, 'mirror-pod');
  if (before.size > 0 && before.has(identity(slot))) return weaken(decision, 'not-introduced');
  return decision;
}

function judgeContent(slot: ImageSlot, shape: ObjectShape, rules: RuleSet, place: Place): ImageDecision {
  if (slot.content.kind === 'unresolved') {
    const runsNow = shape.kind === 'pod' && shape.stage === 'pod';
    return { slot, verdict: 'unresolved', reason: runsNow ? 'unresolved-in-pod' : 'unresolved', judged: runsNow ? 'deny' : 'allow' };
  }
  const parsed = parseImage(slot.content.text);
  if (!parsed.ok) return { slot, verdict: 'unparseable', reason: 'unparseable', judged: 'deny', problem: parsed.problem };

  const { reference } = parsed;
  const { value: rule } = rules.match(reference, place);
  if (!rule) return { slot, verdict: 'unconfigured', reason: 'unconfigured', judged: rules.settings.unconfigured, reference };
  if (!rule.trust) return { slot, verdict: 'distrusted', reason: 'distrusted', judged: 'deny', reference, rule };
  return { slot, verdict: 'trusted', reason: 'trusted', judged: 'allow', reference, rule };
}

function weaken(decision: ImageDecision, reason: 'mirror-pod' | 'not-introduced'): ImageDecision {
  return decision.judged === 'deny' ? { ...decision, judged: 'warn', reason } : decision;
}

function imagesOf(reading: ReturnType<typeof readObject>): ReadonlySet<string> {
  // An old object that cannot be read has shown us nothing, so everything in the new one counts as brought in.
  return new Set(reading.kind === 'shape' ? reading.shape.slots.map(identity) : []);
}

/**
 * What makes an image of a change the same as one from before: what is written, and what is done with it. The place does not count, so that
 * a container put first in the list brings nothing in. Two spellings of one image are the same.
 */
function identity(slot: ImageSlot): string {
  if (slot.content.kind === 'unresolved') return `${slot.action} unresolved`;
  const parsed = parseImage(slot.content.text);
  return parsed.ok ? `${slot.action} ${formatReference(parsed.reference)}` : `${slot.action} as written ${slot.content.text}`;
}

const severity: Readonly<Record<Outcome, number>> = { allow: 0, warn: 1, deny: 2 };

function worst(outcomes: readonly Outcome[]): Outcome {
  return outcomes.reduce<Outcome>((left, right) => (severity[right] > severity[left] ? right : left), 'allow');
}
