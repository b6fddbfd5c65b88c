/** Authenticates callers by their client certificate. Others are answered with 401, before their body is read. */
import type { Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../time/clock.ts';
import { sendError } from './error-bodies.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The caller has shown a certificate of the client CA. Always false without a client CA. */
    callerAuthenticated: boolean;
  }
}

export type ClientCa = {
  /** PEM of the certificates in force. */
  current(): string;
  /** Whether one of them has signed the certificate (PEM). */
  hasSigned(certificate: string): boolean;
};

export type CallerAuthentication = {
  /** Undefined: every caller is answered. */
  readonly clientCa: ClientCa | undefined;
  readonly clock: Pick<Clock, 'now'>;
  readonly onRejected: () => void;
};

/** Fastify reads a body after all hooks of this kind, so a rejected caller costs no memory. */
export function authenticateCallers(app: FastifyInstance<Server>, { clientCa, clock, onRejected }: CallerAuthentication): void {
  app.decorateRequest('callerAuthenticated', false);
  if (!clientCa) return;
  const verify = createVerifier(clientCa, clock);
  app.addHook('onRequest', (request, reply, done) => {
    const problem = verify(request.raw.socket as TLSSocket);
    request.callerAuthenticated = problem === undefined;
    if (problem === undefined) return done();
    onRejected();
    // The next handshake may succeed, for instance after a change of the client CA.
    reply.header('connection', 'close');
    reply.send(sendError(reply, 401, 'Unauthorized', `regkeeper accepts requests only from authenticated API servers: ${problem}`));
  });
}

type Verified = { readonly ca: string; readonly validTo: number };

/** Returns why a peer is not authenticated. Undefined if it is. */
function createVerifier(clientCa: ClientCa, clock: Pick<Clock, 'now'>): (socket: TLSSocket) => string | undefined {
  const verified = new WeakMap<TLSSocket, Verified>();
  return (socket) => {
    // Of the handshake, in which OpenSSL checks the chain, the validity and the purpose.
    if (socket.authorized !== true) return explain(socket);
    // A connection may outlive its certificate, and the CA that signed it.
    let known = verified.get(socket);
    if (known?.ca !== clientCa.current()) {
      // Node has no intermediate certificates of a client, so all of them must be in the client CA.
      const certificate = socket.getPeerX509Certificate();
      if (!certificate || !clientCa.hasSigned(String(certificate)))
        return 'the CA that signed the client certificate is not accepted. Add it to the file for --client-ca';
      known = { ca: clientCa.current(), validTo: certificate.validToDate.getTime() };
      verified.set(socket, known);
    }
    return clock.now() > known.validTo ? 'the client certificate has expired. Renew it' : undefined;
  };
}

function explain(socket: TLSSocket): string {
  const hasCertificate = socket.getPeerX509Certificate?.() !== undefined;
  return hasCertificate
    ? `the client certificate was not accepted (${socket.authorizationError}). Configure the API server to present a valid client certificate that was signed by a CA in --client-ca`
    : 'the client presented no certificate. Configure the API server to present one';
}
