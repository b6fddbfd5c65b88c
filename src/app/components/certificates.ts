/** The certificate that the webhook serves: from our Secret, from files, or generated for development. */
import { missingUntilPublished, waitForPublishedCa } from '../../certificates/rotation/wait-for-published-ca.ts';
import type { CertificateSource, CurrentCertificate, ServerCertificate } from '../../certificates/source.ts';
import { ensureDevelopmentCertificates } from '../../certificates/sources/development.ts';
import { watchCertificateFiles } from '../../certificates/sources/files.ts';
import { manageCertificateSecret } from '../../certificates/sources/secret.ts';
import { explainInvalidity, validityOf } from '../../certificates/validity.ts';
import { createPublishedCas } from '../../cluster/registration/watch-published-cas.ts';
import type { Component } from '../../contracts/component.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import type { LeaderElection } from '../../kube/leader-election.ts';
import type { Clock } from '../../time/clock.ts';
import { asConfigurationError } from '../as-configuration-error.ts';
import type { Settings } from '../settings.ts';
import type { Logger } from './outputs.ts';

export type CertificatesOptions = {
  readonly settings: Settings;
  readonly client: ApiClient | undefined;
  readonly leader: LeaderElection | undefined;
  readonly log: Logger;
  readonly clock: Clock;
};

/** `current` throws before the component has started. */
export type Certificates = CurrentCertificate &
  Required<Pick<Component, 'name' | 'start' | 'stop'>> & {
    /** What is missing before the certificate can be used. Undefined if nothing is. */
    missing(): string | undefined;
    /** Why clients will reject the certificate, regardless of whether they know its CA. Undefined if it is valid. */
    invalidity(): string | undefined;
    /** Undefined before the certificate has been read. */
    validity(): ReturnType<typeof validityOf> | undefined;
    /** The file with the CA that verifies the server's certificate, if there is one. */
    caFile(): string | undefined;
  };

type Opened = { readonly source: CertificateSource; readonly caFile: string | undefined };

/** Wraps the certificate sources, which always have a certificate, in a component that starts without one. */
export function createCertificates(options: CertificatesOptions): Certificates {
  const { settings, client, log, clock } = options;
  // Only registered servers are called by the API server, which verifies them with the published CA.
  const published = client && settings.manageWebhooks ? createPublishedCas({ client, log, clock }) : undefined;
  /** Our clock, and that of the API server, which verifies the certificate. */
  const clocks = () => [clock.now(), client?.serverTime() ?? clock.now()];
  const listeners = new Set<(certificate: ServerCertificate) => void>();
  let opened: Opened | undefined;
  let missingCa: () => string | undefined = () => undefined;
  let stopped = false;

  function requireOpened(): Opened {
    if (!opened) throw new Error('the certificates have not been read yet');
    return opened;
  }

  const invalidity = () => (opened ? explainInvalidity(opened.source.current().certificate, clocks()) : 'it has not been loaded yet');

  async function start(signal: AbortSignal): Promise<void> {
    const { source: unguarded, caFile } = await openSource(options, signal);
    if (stopped) return void (await unguarded.close());
    published?.start();
    const onProgress = (message: string) => log.info({}, message);
    const source = published ? waitForPublishedCa(unguarded, { trusted: published, clocks, clock, onProgress }) : unguarded;
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
    missing: () => invalidity() ?? missingCa(),
    current: () => requireOpened().source.current(),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    refresh: async () => requireOpened().source.refresh?.(),
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
      if (!client || !settings.cluster)
        throw new Error('--tls self stores the certificate in a Secret, which requires a cluster. Set --kubeconfig, or use --tls dev');
      const { namespace } = settings.cluster;
      const { secretName } = tls;
      const options = { client, namespace, secretName, service, leadership: leader };
      return { source: await manageCertificateSecret({ ...options, log, clock, signal }), caFile: undefined };
    }
    case 'files': {
      const { certificate, key, ca } = tls;
      // The API server calls a registered Service by this name.
      const names = settings.manageWebhooks && settings.cluster && [`${service}.${settings.cluster.namespace}.svc`];
      const files = { certificate, key, ...(ca !== undefined && { caBundle: ca }), ...(names && { names }) };
      return { source: await watchCertificateFiles({ ...files, onProblem, clock }).catch(asConfigurationError), caFile: ca };
    }
    case 'dev': {
      const { directory } = tls;
      const development = await ensureDevelopmentCertificates({ directory, hosts: [], now: new Date(clock.now()) }).catch(
        asConfigurationError,
      );
      const files = { certificate: development.certificateFile, key: development.keyFile, caBundle: development.caFile };
      return {
        source: await watchCertificateFiles({ ...files, onProblem, clock }).catch(asConfigurationError),
        caFile: development.caFile,
      };
    }
  }
}
