/** Warnings on patterns that hardly match an image, and hints at pull secrets that public images may suffer from. */
import { quote } from '../../image/problem.ts';
import type { RegistryPattern } from '../language/pattern.ts';
import type { Origin, Problem } from '../language/problem.ts';
import type { Rule, RuleSet } from '../rule-set.ts';

/** In the order of rules, exemptions and delegations. */
export function lintPatterns({ rules, exemptions, delegate }: RuleSet): readonly Problem[] {
  const written = rules.filter(({ internal }) => !internal);
  const hasDockerHub = written.some(({ pattern }) => hostOf(pattern) === 'docker.io');
  return [
    ...[...written, ...exemptions, ...delegate].flatMap(({ pattern, origin }) => lintPattern(pattern, origin)),
    ...(hasDockerHub ? written.flatMap(otherNameOfDockerHub) : []),
    ...written.flatMap(secretOnPublicRegistry),
    ...organizationsLikeImages(written),
  ];
}

function lintPattern(pattern: RegistryPattern, origin: Origin): readonly Problem[] {
  const message = whyUnlikely(pattern);
  return message === undefined ? [] : [{ code: 'unlikely-pattern', message, origin }];
}

/** Why hardly an image matches the pattern, with the fix. Undefined for other patterns. */
export function whyUnlikely(pattern: RegistryPattern): string | undefined {
  return addressRange(pattern) ?? webSite(pattern) ?? registryApi(pattern) ?? subdomainOfDockerHub(pattern);
}

function addressRange({ text, port, path: [first = '', ...more] }: RegistryPattern): string | undefined {
  const host = text.slice(0, Math.max(text.lastIndexOf('/'), 0));
  const isAddress = /^[\d.]+$/.test(host) || host.startsWith('[');
  if (!isAddress || typeof port === 'number' || more.length > 0 || !/^\d{1,3}$/.test(first)) return undefined;
  return `${quote(text)} is the repository ${quote(first)} of the registry ${host}, not a CIDR range. List the registries by name.`;
}

/** Sites with pages about images, and the registries that have the images. */
const webSites: ReadonlyMap<string, string> = new Map([
  ['hub.docker.com', 'docker.io'],
  ['docker.com', 'docker.io'],
  ['www.docker.com', 'docker.io'],
  ['cloud.docker.com', 'docker.io'],
  ['github.com', 'ghcr.io'],
  ['gitlab.com', 'registry.gitlab.com'],
  ['gallery.ecr.aws', 'public.ecr.aws'],
  ['catalog.redhat.com', 'registry.redhat.io'],
  ['access.redhat.com', 'registry.access.redhat.com'],
  ['console.cloud.google.com', 'gcr.io'],
]);

function webSite(pattern: RegistryPattern): string | undefined {
  const host = hostOf(pattern) ?? '';
  const [first, ...repository] = pattern.path;
  if (host === 'quay.io' && first === 'repository') {
    return `quay.io/repository is the address of web pages about images. Use ${quote(['quay.io', ...repository].join('/'))}.`;
  }
  const registry = webSites.get(host);
  if (registry === undefined || typeof pattern.port === 'number') return undefined;
  return `${host} is a web site, and no image name starts with it. The registry is ${registry}.`;
}

function registryApi({ text, path: [first = '', ...more] }: RegistryPattern): string | undefined {
  if (more.length > 0 || !/^v[12]$/.test(first)) return undefined;
  const registry = text.slice(0, text.lastIndexOf('/'));
  return `/${first} is the path of the registry API, and no image name contains it. Use ${quote(registry)}.`;
}

/** The names of Docker Hub all count as `docker.io`, which is not below itself. */
function subdomainOfDockerHub({ text, host, port, path }: RegistryPattern): string | undefined {
  if (host.kind !== 'suffix' || host.name !== 'docker.io' || typeof port === 'number') return undefined;
  return `${quote(text)} matches no Docker Hub images: registry-1.docker.io and index.docker.io are treated as docker.io. Use ${quote(['docker.io', ...path].join('/'))}.`;
}

/** A denial of it makes sense next to rules for Docker Hub. */
function otherNameOfDockerHub({ pattern, trust, origin }: Rule): readonly Problem[] {
  if (!trust || hostOf(pattern) !== 'registry.hub.docker.com') return [];
  const message =
    'registry.hub.docker.com serves the Docker Hub images under another name, and rules for docker.io do not apply to it. Trust only docker.io, and use docker.io in image names.';
  return [{ code: 'unlikely-pattern', message, origin }];
}

/**
 * Registries that serve public images, and whose token service rejects a wrong credential for them too (tested on a node: with Basic
 * authentication the credential is not sent for public images).
 */
const publicRegistries: readonly string[] = ['docker.io', 'quay.io', 'ghcr.io'];

/** Whether such a registry serves public images of many owners under the pattern. */
export function servesPublicImages(pattern: RegistryPattern): boolean {
  const host = hostOf(pattern) ?? '';
  const isShared = pattern.path.every((segment) => segment === '*') || (host === 'docker.io' && pattern.path[0] === 'library');
  return isShared && publicRegistries.includes(host) && typeof pattern.port !== 'number';
}

function secretOnPublicRegistry({ pattern, pullSecrets, origin }: Rule): readonly Problem[] {
  if (pullSecrets.length === 0 || !servesPublicImages(pattern)) return [];
  const message = `${pattern.text} serves public images too, and an invalid or expired credential makes pulls of those images fail. Set the pull secret only for paths that need it, or monitor when the credential expires.`;
  return [{ code: 'secret-on-public-registry', message, origin }];
}

/** Often used images of docker-library/official-images (2026-11), which have an organization of the same name on Docker Hub or may get one. */
const officialImages: ReadonlySet<string> = new Set(
  (
    'alpine amazoncorretto busybox caddy cassandra centos consul couchdb debian docker eclipse-temurin elasticsearch fedora golang gradle ' +
    'haproxy httpd influxdb jetty kibana logstash mariadb maven memcached mongo mysql neo4j nginx node openjdk perl php postgres python ' +
    'rabbitmq redis registry rockylinux ruby rust sonarqube telegraf tomcat traefik ubuntu vault wordpress zookeeper'
  ).split(' '),
);

/** No hint for an author who uses the namespace of the official images in another rule. */
function organizationsLikeImages(written: readonly Rule[]): readonly Problem[] {
  const onDockerHub = written.filter(({ pattern }) => hostOf(pattern) === 'docker.io' && typeof pattern.port !== 'number');
  if (onDockerHub.some(({ pattern }) => pattern.path[0] === 'library')) return [];
  return onDockerHub.flatMap(({ pattern: { text, path }, origin }): readonly Problem[] => {
    const [name = '', ...more] = path;
    if (more.length > 0 || !officialImages.has(name)) return [];
    const message = `${text} matches repositories of the organization ${name}, such as ${name}/NAME. The official image is docker.io/library/${name}.`;
    return [{ code: 'official-image', message, origin }];
  });
}

function hostOf({ host }: RegistryPattern): string | undefined {
  return host.kind === 'exact' ? host.name : undefined;
}
