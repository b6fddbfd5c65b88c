/**
 * The pull secrets of a new Pod or pod template that are not ours. With them and with the secrets that any rules specify for the images, what
 * these rules write into the list is known: what is specified and not listed yet. `diff --replay` needs that of a past request.
 */
import { namesInMark } from '../object/injection-mark.ts';
import type { ObjectShape } from '../object/object-shape.ts';
import type { ChangeRequest } from './decision.ts';
import type { Facts } from './facts.ts';

/**
 * Undefined for an update, which can restore or keep what was written before, and for an object or a service account that limits what may be
 * written.
 */
export function suppliedSecrets(
  { operation, namespace }: Pick<ChangeRequest, 'operation' | 'namespace'>,
  shape: ObjectShape,
  facts: Pick<Facts, 'serviceAccount'>,
): readonly string[] | undefined {
  if (operation !== 'CREATE' || shape.kind !== 'pod') return undefined;
  if (shape.readOnlyBecause || shape.onlyIntoEmptyList || shape.slots.some(({ pulledElsewhere }) => pulledElsewhere)) return undefined;
  const account = facts.serviceAccount(namespace, shape.serviceAccount);
  if (account.kind === 'too-large' || (account.kind === 'known' && account.onlyListedSecrets)) return undefined;
  const ours = namesInMark(shape.mark);
  return [...new Set(shape.pullSecrets.filter((name) => name !== undefined && !ours.has(name)))] as readonly string[];
}
