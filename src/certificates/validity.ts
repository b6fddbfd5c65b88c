/** Whether clients accept a certificate at the present time, for readiness and metrics. */
import { X509Certificate } from 'node:crypto';

/** Longer than the kubelet and the Service need to stop sending requests to an unready replica. */
const expiryMargin = 5 * 60_000;

/**
 * Why clients reject this PEM certificate (the leaf first), or soon will. Undefined while it is valid. `clocks` are epoch milliseconds.
 * All of them must agree, because one wrong clock must not take a valid certificate out of service.
 */
export function explainInvalidity(certificate: string, clocks: readonly number[]): string | undefined {
  const { validFromDate, validToDate } = new X509Certificate(certificate);
  const earliest = Math.min(...clocks);
  if (earliest >= validToDate.getTime()) return `it expired at ${validToDate.toISOString()}`;
  if (earliest >= validToDate.getTime() - expiryMargin) return `it expires at ${validToDate.toISOString()} and has not been renewed`;
  if (Math.max(...clocks) < validFromDate.getTime()) return `it is not valid before ${validFromDate.toISOString()}`;
  return undefined;
}

/** The validity period of this PEM certificate (the leaf first). */
export function validityOf(certificate: string): { readonly notBefore: Date; readonly notAfter: Date } {
  const { validFromDate, validToDate } = new X509Certificate(certificate);
  return { notBefore: validFromDate, notAfter: validToDate };
}
