/** The certificate that the webhook serves: from our Secret, from files, or made for development. */
import { missingUntilPublished, waitForPublishedCa } from '../../certificates/rotation/wait-for-published-ca.ts';
import type { CertificateSource, CurrentCertificate, ServerCertificate } from '../../certificates/source.ts';
import { ensureDevelopmentCertificates } from '../../certificates/sources/development.ts';
import { watchCertificateFiles } from '../../certificates/sources/files.ts';
import { manageCertificateSecret } from '../../certificates/sources/secret.ts';
import { explainInvalidity, validityOf } from '../../certificates/validity.ts';
import { createPublishedCas } from '../../cluster/registration/published-cas.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import type { LeaderElection } from '../../kube/leader-election.ts';
import type { Clock } from '../../time/clock.ts';
import { asConfigurationError } from '../as-configuration-error.ts';
import type { Component } from '../lifecycle.ts';
import type { Settings } from '../settings.ts';
import type { Logger } from './outputs.ts';

export type CertificatesOptions = {
  readonly settings: Settings;
  readonly client: ApiClient | undefined;
  readonly leader: LeaderElection | undefined;
  readonly log: Logger;
  readonly clock: Clock;
};

/** `current` throws before the start. */
export type Certificates = CurrentCertificate &
  Required<Pick<Component, 'name' | 'start' | 'stop' | 'ready'>> & {
    /** Why clients will not accept the certificate, whether or not they know its CA yet. */
    invalidity(): string | undefined;
    /** Undefined until there is one. */
    validity(): ReturnType<typeof validityOf> | undefined;
    /** By which clients verify the server, where it is a file. */
    caFile(): string | undefined;
  };

type Opened = { readonly source: CertificateSource; readonly caFile: string | undefined };

/** A component around the sources, which have a certificate from their first moment on. */
export function createCertificates(options: CertificatesOptions): Certificates {
  const { settings, client, log, clock } = options;
  // What is published matters to those that the API server calls.
  const published = client && settings.register ? createPublishedCas({ client, log, clock }) : undefined;
  /** Our clock, and the API server's, which verifies. */
  const clocks = () => [clock.now(), client?.serverTime() ?? clock.now()];
  const listeners = new Set<(certificate: ServerCertificate) => void>();
  let opened: Opened | undefined;
  let missingCa: () => string | undefined = () => undefined;
  let stopped = false;

  function opening(): Opened {
    if (!opened) throw new Error('the certificates have not been read yet');
    return opened;
  }

  const invalidity = () => (opened ? explainInvalidity(opened.source.current().certificate, clocks()) : 'there is no certificate yet');

  async function start(signal: AbortSignal): Promise<void> {
    const { source: bare, caFile } = await openSource(options, signal);
    if (stopped) return void (await bare.close());
    published?.start();
    const onProgress = (message: string) => log.info({}, message);
    const source = published ? waitForPublishedCa(bare, { trusted: published, clocks, clock, onProgress }) : bare;
    if (published) missingCa = missingUntilPublished(source, published, clock);
    opened = { source, caFile };
    source.onChange((next) => {
      for (const listener of [...listeners]) listener(next);
    });
  }

  return {
    name: 'certificates',
    start,
    async stop() {
      stopped = true;
      listeners.clear();
      await opened?.source.close();
      await published?.stop();
    },
    ready: () => invalidity() ?? missingCa(),
    current: () => opening().source.current(),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    refresh: async () => opening().source.refresh?.(),
    invalidity,
    validity: () => opened && validityOf(opened.source.current().certificate),
    caFile: () => opened?.caFile,
  };
}

async function openSource({ settings, client, leader, log, clock }: CertificatesOptions, signal: AbortSignal): Promise<Opened> {
  const { tls, service } = settings;
  const onProblem = (message: string) => log.error({}, message);
  switch (tls.mode) {
    case 'self': {
      if (!client || !settings.cluster) throw new Error('settings promised a cluster');
      const { namespace } = settings.cluster;
      const { secretName } = tls;
      const place = { client, namespace, secretName, service, leadership: leader };
      return { source: await manageCertificateSecret({ ...place, log, clock, signal }), caFile: undefined };
    }
    case 'files': {
      const { certificate, key, authorities } = tls;
      // Registered as a Service, we are called by its name.
      const names = settings.register && settings.cluster && [`${service}.${settings.cluster.namespace}.svc`];
      const files = { certificate, key, ...(authorities !== undefined && { caBundle: authorities }), ...(names && { names }) };
      return { source: await watchCertificateFiles({ ...files, onProblem, clock }).catch(asConfigurationError), caFile: authorities };
    }
    case 'dev': {
      const { directory } = tls;
      const made = await ensureDevelopmentCertificates({ directory, hosts: [], now: new Date(clock.now()) }).catch(asConfigurationError);
      const files = { certificate: made.certificateFile, key: made.keyFile, caBundle: made.caFile };
      return { source: await watchCertificateFiles({ ...files, onProblem, clock }).catch(asConfigurationError), caFile: made.caFile };
    }
  }
}
