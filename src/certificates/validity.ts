import { X509Certificate } from 'node:crypto';

/** More than the kubelet and the Service take until an unready replica gets no requests any more. */
const DRAIN_MARGIN = 5 * 60_000;

/**
 * Why clients will not take this PEM certificate (the leaf first), or soon will not; undefined while it is good. `clocks` are epoch
 * milliseconds: one that goes wrong must not take a good certificate out of service, so all of them have to say so.
 */
export function explainInvalidity(certificate: string, clocks: readonly number[]): string | undefined {
  const { validFromDate, validToDate } = new X509Certificate(certificate);
  const earliest = Math.min(...clocks);
  if (earliest >= validToDate.getTime()) return `it expired at ${validToDate.toISOString()}`;
  if (earliest >= validToDate.getTime() - DRAIN_MARGIN) return `it expires at ${validToDate.toISOString()} and has not been renewed`;
  if (Math.max(...clocks) < validFromDate.getTime()) return `it is not valid before ${validFromDate.toISOString()}`;
  return undefined;
}

/** From when to when this PEM certificate (the leaf first) is good. */
export function validityOf(certificate: string): { readonly notBefore: Date; readonly notAfter: Date } {
  const { validFromDate, validToDate } = new X509Certificate(certificate);
  return { notBefore: validFromDate, notAfter: validToDate };
}
