/** Events about objects of controllers that were denied, or allowed with a warning, on the object that their author knows. */
import { type AnsweredRequest, inEnforceMode } from '../../admission/response.ts';
import { soften } from '../../decision/decide.ts';
import type { Decision, ImageFinding, Outcome } from '../../decision/decision.ts';
import { mostListed, renderContact, renderHelp } from '../../decision/message.ts';
import { controllerReferenceOf, type OwnerReference } from '../../object/owner.ts';
import type { RuleSet } from '../../rules/rule-set.ts';
import { isNamespaceName, type OfferedEvent } from './event.ts';
import { renderNote } from './note.ts';
import { canReadBack, type TopOwners } from './top-owner.ts';

/**
 * Undefined where no Event is written: for dry runs, for objects without a controller, whose author has read the answer, and for owners that
 * cannot be read back if the caller did not authenticate. Then anyone may have sent the request.
 */
export function ownerEventOf(answered: AnsweredRequest, owners: TopOwners): OfferedEvent | undefined {
  const owner = ownerToInform(answered);
  if (!owner) return undefined;
  const { callerAuthenticated, request, decision, rules } = answered;
  const text = decision.kind === 'decided' && textOf(decision, rules);
  if (!text) return undefined;
  const { namespace } = request;
  const readBack = canReadBack(owner);
  if (!readBack && !callerAuthenticated) return undefined;
  return {
    ...text,
    namespace,
    key: JSON.stringify([owner.uid, text.reason, text.note]),
    ifExists: 'count',
    regarding: async (signal) => (readBack ? owners.find(namespace, owner, signal) : owner),
  };
}

/**
 * What built-in controllers create, with the API group. If a ReplicaSet is denied, its Deployment never gets to the Pods. Other objects with
 * an owner are created by operators, which report the response in their own way.
 */
const createdByControllers: ReadonlySet<string> = new Set(['Pod', 'ReplicationController', 'ReplicaSet.apps', 'Job.batch']);

/** The Node that owns a static Pod is no object of the namespace, and its Pods are already running. */
function ownerToInform({ webhook, request, decision }: AnsweredRequest): OwnerReference | undefined {
  const { operation, group, kind, subresource, dryRun, namespace, object } = request;
  if (webhook !== 'validate' || dryRun || operation !== 'CREATE' || subresource !== '') return undefined;
  if (!createdByControllers.has(group === '' ? kind : `${kind}.${group}`)) return undefined;
  if (decision.kind !== 'decided' || decision.outcome === 'allowed' || !isNamespaceName(namespace)) return undefined;
  const owner = controllerReferenceOf(object);
  return owner && owner.kind !== 'Node' && hasUsualLengths(owner) ? owner : undefined;
}

/** The limits of Kubernetes' names. The API server calls webhooks before it validates an object. */
function hasUsualLengths({ apiVersion, kind, name, uid }: OwnerReference): boolean {
  return kind.length <= 63 && [apiVersion, name, uid].every((text) => text.length <= 253);
}

function textOf(
  { outcome, mode, findings }: Decision & { kind: 'decided' },
  rules: RuleSet,
): Pick<OfferedEvent, 'type' | 'reason' | 'note'> {
  const reported = findings.filter(({ image }) => soften(image.outcomeBeforeMode, mode) === outcome);
  const note = renderNote({
    statements: reported.slice(0, mostListed).map(statementOf(outcome)),
    omitted: Math.max(0, reported.length - mostListed),
    noun: 'image',
    endings: endingsOf(rules),
  });
  // A copy, since the text may refer to parts of the request, which can have 3 MiB.
  return { type: 'Warning', reason: outcome === 'denied' ? 'ImageDenied' : 'ImageWarned', note: Buffer.from(note).toString() };
}

function statementOf(outcome: Outcome) {
  return ({ image, message, brief }: ImageFinding) => {
    const prefix = outcome === 'warned' && image.outcomeBeforeMode === 'denied' ? inEnforceMode : '';
    return { message: prefix + message, brief: prefix + brief };
  };
}

function endingsOf(rules: RuleSet): [string, ...string[]] {
  const contact = renderContact(rules);
  return [[contact, renderHelp(rules)].filter(Boolean).join(' '), contact, renderContact(rules, { brief: true })];
}
