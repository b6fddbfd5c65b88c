/** Opens a port, and says what to do where that cannot be done. */
import { ConfigurationError } from '../settings/configuration-error.ts';
import type { Settings } from './settings.ts';

export type Listener = { listen(address: { readonly host: string; readonly port: number }): Promise<unknown> };

type Log = { info(fields: object, message: string): void };

/**
 * All addresses, of both families, are the default; a kernel without IPv6 has no `::` to listen on, and then all of IPv4 are meant.
 * @throws ConfigurationError for what the person who started it can mend
 */
export async function listen(app: Listener, settings: Settings, setting: 'port' | 'healthPort', log: Log): Promise<void> {
  const { host, [setting]: port } = settings;
  try {
    await app.listen({ host, port });
  } catch (error) {
    if (host !== '::' || !isAddressFamilyMissing(error)) throw explainListenError(error, host, settings, setting);
    const allOfIPv4 = '0.0.0.0';
    await app.listen({ host: allOfIPv4, port }).catch((second: unknown) => {
      throw explainListenError(second, allOfIPv4, settings, setting);
    });
    log.info({ [setting]: port }, `this machine has no IPv6 (${codeOf(error)}): listening on ${allOfIPv4} instead of ${host}`);
  }
}

/** `ipv6.disable=1` leaves no sockets of that family; other ways to switch it off leave no address. */
function isAddressFamilyMissing(error: unknown): boolean {
  return codeOf(error) === 'EAFNOSUPPORT' || codeOf(error) === 'EADDRNOTAVAIL';
}

function explainListenError(error: unknown, host: string, settings: Settings, setting: 'port' | 'healthPort'): unknown {
  const { nameOf } = settings;
  const address = `port ${settings[setting]} of ${host}`;
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return new ConfigurationError(`${address} is in use: end the other program, or choose another port with ${nameOf(setting)}`);
    case 'EACCES':
      return new ConfigurationError(`${address} may not be opened by this user: choose one above 1023 with ${nameOf(setting)}`);
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
    case 'ENOTFOUND':
      return new ConfigurationError(`${host} is no address of this machine: choose another with ${nameOf('host')}`);
    default:
      return error;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/** As clients on this machine reach it, e.g. `https://localhost:8443`. */
export function urlOf(scheme: 'http' | 'https', host: string, listening: Listening | undefined): string {
  const address = listening?.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return `${scheme}://${hostnameOf(host)}:${port}`;
}

type Listening = { readonly server: { address(): { readonly port: number } | string | null } };

function hostnameOf(host: string): string {
  if (host === '127.0.0.1' || host === '::' || host === '0.0.0.0' || host === '::1') return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}
