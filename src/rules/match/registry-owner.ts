/** Which registry names belong to one owner, as far as a name shows it. A message must never propose the registry of another company. */

/**
 * Public registries with many owners: the first path segment is the owner's name. An entry also covers the hosts below it. A registry that
 * is missing here counts as one with a single owner.
 */
const sharedRegistries: readonly string[] = [
  'docker.io',
  'quay.io',
  'ghcr.io',
  'gcr.io',
  'pkg.dev',
  'public.ecr.aws',
  'icr.io',
  'ocir.io',
  'cr.yandex',
  'scw.cloud',
  'aliyuncs.com',
  'myhuaweicloud.com',
  'tencentyun.com',
  'registry.digitalocean.com',
  'docker.cloudsmith.io',
  'codeberg.org',
  'registry.gitlab.com',
];

/** Domains under which each customer has a host. The registrable domain there is the whole host. */
const customerDomains: readonly string[] = [
  'amazonaws.com',
  'amazonaws.com.cn',
  'azurecr.io',
  'azurecr.cn',
  'azurecr.us',
  'jfrog.io',
  'tencentcloudcr.com',
  'cr.aliyuncs.com',
  'ngrok.io',
  'nip.io',
  'sslip.io',
];

/** Second-level labels under which countries let people register: `example.co.uk`. */
const countrySecondLevels = new Set('ac co com edu gob gov go gv ltd me mil ne net nom or org plc sch'.split(' '));

/** Whether the first path segment names the owner of a repository on the host. */
export function isSharedRegistry(host: string): boolean {
  return sharedRegistries.some((shared) => isBelow(host, shared));
}

/**
 * The part of a host name that one owner has registered, such as `example.com`: its last two labels, or three below a country's second-level
 * domain. Undefined for a host that is no DNS name with a dot, and for hosts below a domain of a provider that gives each customer a host.
 */
export function registrableDomain(host: string): string | undefined {
  const labels = host.split('.');
  const last = labels.at(-1) ?? '';
  if (labels.length < 2 || !/^[a-z][a-z0-9-]*$/.test(last) || customerDomains.some((domain) => isBelow(host, domain))) return undefined;
  const count = last.length === 2 && countrySecondLevels.has(labels.at(-2) ?? '') ? 3 : 2;
  return labels.length < count ? undefined : labels.slice(-count).join('.');
}

function isBelow(host: string, domain: string): boolean {
  return host === domain || host.endsWith(`.${domain}`);
}
