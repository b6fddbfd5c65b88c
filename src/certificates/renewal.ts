/** Decides when a certificate is due for renewal, and why. */
import { type CertificatePair, missingNames } from './inspect.ts';
import { anyOf } from './wording.ts';

export type Renewal = { readonly renew: false } | { readonly renew: true; readonly reason: string };

/**
 * Whether a certificate should be renewed at `now`, and why. After two thirds of its lifetime, by default, a third is left to fix a
 * failing renewal. `wantedNames` are host names and IP addresses that it must cover, also by a wildcard. `share` is the share of the
 * lifetime after which renewal is due. A replica that leaves timely renewal to the leader passes a larger one.
 */
export function checkRenewal(pair: CertificatePair, now: Date, wantedNames: readonly string[] = [], share = 2 / 3): Renewal {
  if (now >= pair.notAfter) return { renew: true, reason: `it expired at ${pair.notAfter.toISOString()}` };
  if (now < pair.notBefore) return { renew: true, reason: `it is not valid before ${pair.notBefore.toISOString()}` };
  const begin = pair.notBefore.getTime();
  const renewAt = begin + (pair.notAfter.getTime() - begin) * share;
  if (now.getTime() >= renewAt)
    return {
      renew: true,
      reason: `it was due for renewal at ${new Date(renewAt).toISOString()} and expires at ${pair.notAfter.toISOString()}`,
    };
  const missing = missingNames(pair.certificate, wantedNames);
  if (missing.length > 0) return { renew: true, reason: `it is not valid for ${anyOf(missing)}` };
  return { renew: false };
}
