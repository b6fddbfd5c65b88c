/** The HTTPS server as a component. It serves the current certificate, and answers until the end of the shutdown. */

import type { Component } from '../../contracts/component.ts';
import type { WebhookCollaborators } from '../../server/webhook-collaborators.ts';
import { createWebhookServer, tlsContext, type WebhookServer } from '../../server/webhook-server.ts';
import type { Clock } from '../../time/clock.ts';
import { type Listener, listen, urlOf } from '../listen.ts';
import type { Settings } from '../settings.ts';
import type { Certificates } from './certificates.ts';
import type { FollowedClientCa } from './client-ca.ts';
import type { Logger } from './outputs.ts';

export type WebhookOptions = {
  readonly settings: Settings;
  readonly certificates: Certificates;
  readonly clientCa: FollowedClientCa | undefined;
  readonly collaborators: WebhookCollaborators;
  readonly log: Logger;
  readonly clock: Clock;
};

export type Webhook = Component & {
  url(): string;
  isListening(): boolean;
  /** As {@link WebhookServer.drain}. */
  drain(): void;
  /** As {@link WebhookServer.finish}. */
  finish(): Promise<void>;
};

export function createWebhook({ settings, certificates, clientCa, collaborators, log, clock }: WebhookOptions): Webhook {
  let server: WebhookServer | undefined;
  let opening: Promise<void> | undefined;
  let listening = false;
  let unsubscribe: readonly (() => void)[] = [];

  function serveNewCertificates(running: WebhookServer): () => void {
    let shown = certificates.current();
    return certificates.onChange((next) => {
      const { certificate, key } = next;
      if (certificate === shown.certificate && key === shown.key) return;
      shown = next;
      logInvalidity();
      running.server.setSecureContext(tlsContext(shown, clientCa));
      log.info({}, 'serving a new certificate');
    });
  }

  function followClientCa(running: WebhookServer): () => void {
    const stop = clientCa?.onChange(() => {
      running.server.setSecureContext(tlsContext(certificates.current(), clientCa));
      log.info({}, 'using a new client CA to authenticate callers');
    });
    return () => stop?.();
  }

  function logInvalidity(): void {
    const invalidity = certificates.invalidity();
    if (invalidity === undefined) return;
    const fix =
      settings.tls.mode === 'self'
        ? 'Check earlier messages about the certificate'
        : 'Check the program that issues the certificate, or replace the certificate and its key';
    log.error({}, `clients will reject the certificate: ${invalidity}. ${fix}, and check the clock`);
  }

  return {
    name: 'webhook',
    async start() {
      const bodies = { milliseconds: settings.webhookPolicy.timeoutSeconds * 1_000 };
      server = createWebhookServer(collaborators, { tls: certificates.current(), clientCa, bodies, clock });
      logInvalidity();
      unsubscribe = [serveNewCertificates(server), followClientCa(server)];
      opening = listen(server as unknown as Listener, settings, 'port', log);
      await opening;
      listening = true;
    },
    async stop() {
      for (const each of unsubscribe) each();
      // Closing a server that is still looking up its host would throw later, where nothing can catch it.
      await opening?.catch(() => undefined);
      // This does nothing after `finish`.
      await server?.close();
    },
    url: () => urlOf('https', settings.host, server),
    isListening: () => listening,
    drain: () => server?.drain(),
    finish: async () => server?.finish(),
  };
}
