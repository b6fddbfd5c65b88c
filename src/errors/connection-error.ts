/** Explains why a TLS connection could not be opened. Node's own messages advise flags of Node, or are those of OpenSSL. */
import { errorCode } from './error-message.ts';

/** Codes of Node and OpenSSL for a certificate chain that leads to no known CA. */
const unknownCaCodes: ReadonlySet<unknown> = new Set([
  'CERT_SIGNATURE_FAILURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** What is wrong with the connection. Undefined for errors whose own message says it. */
export function explainConnectionError(error: unknown): string | undefined {
  const code = errorCode(error);
  if (unknownCaCodes.has(code)) return 'the certificate of the server is signed by an unknown CA. Check the CA that is configured for it';
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') return 'the server does not use TLS on this port. Check the address and the port';
  return undefined;
}
