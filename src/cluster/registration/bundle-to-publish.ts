/** The CA bundle to publish: the CAs of the certificate in use, and published ones that are still needed. */
import { createCaBundle } from '../../certificates/rotation/ca-bundle.ts';
import type { CurrentCertificate } from '../../certificates/source.ts';
import { errorMessage } from '../../errors/error-message.ts';
import { systemClock } from '../../time/clock.ts';
import { within } from '../../time/within.ts';
import { bundleOf, bundlesOfOurs, callsUs, type LiveConfiguration } from './live-configuration.ts';
import { type RegistrationOptions, requestTimeout } from './options.ts';

export type BundleToPublish = {
  /** Undefined if the certificate has no CA bundle. Records since when a published CA is no longer needed. */
  desired(): string | undefined;
  /** The bundle that replicas have published. If there is none, the desired one. */
  published(): string | undefined;
  /** Reads the certificate again. False if that fails. The published CAs then stay, and everything else is repaired. */
  refresh(): Promise<boolean>;
  close(): void;
};

/** `onExpired` is called when a published CA is no longer needed. */
export function createBundleToPublish(
  { certificates, log, clock, signal }: Pick<RegistrationOptions, 'certificates' | 'log' | 'clock'> & { readonly signal: AbortSignal },
  live: () => readonly LiveConfiguration[],
  onExpired: () => void,
): BundleToPublish {
  const caBundles = createCaBundle({ clock: clock ?? systemClock, onExpired });
  let refreshFailed = false;
  const published = () => [...new Set(live().flatMap(bundlesOfOurs))];
  const desired = () => {
    const { caBundle: served } = certificates.current();
    return served && caBundles.bundle(served, published());
  };
  return {
    desired,
    published: () => published()[0] ?? desired(),
    async refresh() {
      try {
        // Always with the system's clock, because it limits a request in progress, also where a test controls the time.
        const late = `no response within ${requestTimeout / 1_000} s`;
        await within(systemClock, requestTimeout, late, async () => certificates.refresh?.(), signal);
        refreshFailed = false;
      } catch (err) {
        const message = `cannot read the current certificate, so the registered CA bundle stays unchanged: ${errorMessage(err)}`;
        if (!refreshFailed && !signal.aborted) log.warn({ err }, message);
        refreshFailed = true;
      }
      return !refreshFailed;
    },
    close: caBundles.close,
  };
}

/**
 * Whether the API server may reject a certificate that is served or about to be served. The first CA of the bundle signs. The leader
 * publishes the others. A CA that another replica published is not removed at once, so two replicas with different files do not overwrite
 * each other in turn.
 */
export function lacksCa({ webhooks }: LiveConfiguration, { current }: CurrentCertificate): boolean {
  const [signing = ''] = (current().caBundle ?? '').split(/(?<=-----END CERTIFICATE-----\n)/);
  return (webhooks ?? []).filter(callsUs).some((entry) => !bundleOf(entry).includes(signing));
}
