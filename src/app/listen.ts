/** Opens a port, and explains what to do if that fails. */

import type { Log } from '../contracts/log.ts';
import { errorCode } from '../errors/error-message.ts';
import { ConfigurationError } from '../settings/configuration-error.ts';
import type { Settings } from './settings.ts';

export type Listener = { listen(address: { readonly host: string; readonly port: number }): Promise<unknown> };

/**
 * Opens the port on the configured host. The default is all addresses of both families. A kernel without IPv6 has no `::`, so all of IPv4
 * is used there.
 *
 * @throws ConfigurationError for everything that the operator can fix
 */
export async function listen<Port extends 'port' | 'healthPort'>(
  app: Listener,
  settings: Pick<Settings, 'host' | 'nameOf' | Port>,
  setting: Port,
  log: Pick<Log, 'info'>,
): Promise<void> {
  const { host, nameOf } = settings;
  const port = settings[setting] as number;
  const explained = (error: unknown, address: string) => explainListenError(error, { host: address, port, setting, nameOf });
  try {
    await app.listen({ host, port });
  } catch (error) {
    if (host !== '::' || !isAddressFamilyMissing(error)) throw explained(error, host);
    const allOfIPv4 = '0.0.0.0';
    await app.listen({ host: allOfIPv4, port }).catch((second: unknown) => {
      throw explained(second, allOfIPv4);
    });
    log.info({ [setting]: port }, `IPv6 is not available (${errorCode(error)}). Listening on ${allOfIPv4} instead of ${host}`);
  }
}

/** With `ipv6.disable=1` there are no IPv6 sockets at all. Other ways to disable IPv6 leave the sockets but no address. */
function isAddressFamilyMissing(error: unknown): boolean {
  return errorCode(error) === 'EAFNOSUPPORT' || errorCode(error) === 'EADDRNOTAVAIL';
}

type Address = Pick<Settings, 'host' | 'port' | 'nameOf'> & { readonly setting: 'port' | 'healthPort' };

function explainListenError(error: unknown, { host, port, setting, nameOf }: Address): unknown {
  const address = `port ${port} on ${host}`;
  switch (errorCode(error)) {
    case 'EADDRINUSE':
      return new ConfigurationError(`${address} is already in use. Stop the other program, or choose another port with ${nameOf(setting)}`);
    case 'EACCES':
      return new ConfigurationError(`no permission to listen on port ${port} of ${host}. Choose a port above 1023 with ${nameOf(setting)}`);
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
    case 'ENOTFOUND':
      return new ConfigurationError(`${host} is not an address of this machine. Choose another one with ${nameOf('host')}`);
    default:
      return error;
  }
}

/** The URL for clients on this machine, e.g. `https://localhost:8443`. */
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
