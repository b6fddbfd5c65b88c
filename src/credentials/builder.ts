/** Finds the entry of a registry secret that a build of OpenShift uses for an image. */
import { type ImageReference, repositoryAsWritten } from '../image/reference.ts';
import { findCredentials, type KeyedEntry } from './kubelet.ts';

/**
 * The entry that openshift/builder uses. `entries` are those of the one secret that the build names.
 *
 * A push is looked up as by the kubelet, and the first entry is used (builder cmd/dockercfg, GetDockerAuth). A pull is looked up by
 * containers/image (pkg/docker/config, findCredentialsInFile): first the exact text of the repository, of each of its parents and of the
 * registry, then the registry in keys that are URLs. So wildcards do not work, and a path must end at a slash.
 */
export function findBuilderCredential<Entry extends KeyedEntry>(
  entries: readonly Entry[],
  image: ImageReference,
  action: 'pull' | 'push',
): Entry | undefined {
  return action === 'push' ? findCredentials(entries, image)[0] : createBuilderPullLookup(entries)(repositoryAsWritten(image));
}

/** The lookup of a pull for many images. It expects the name of a repository, `host[:port]/path`, as the builder has it. */
export function createBuilderPullLookup<Entry extends KeyedEntry>(entries: readonly Entry[]): (repository: string) => Entry | undefined {
  const byKey = new Map(entries.map((entry) => [entry.key, entry]));
  const byRegistry = new Map(entries.toReversed().map((entry) => [normalizeKey(entry.key), entry]));
  return (repository) => {
    for (let name = repository; name !== ''; name = name.slice(0, Math.max(name.lastIndexOf('/'), 0))) {
      const entry = byKey.get(name);
      if (entry) return entry;
    }
    return byRegistry.get(normalizeRegistry(repository.slice(0, repository.indexOf('/'))));
  };
}

/** A key that is a URL counts as its host. Any other key is compared as a whole. */
function normalizeKey(key: string): string {
  const stripped = key.replace(/^http:\/\//, '').replace(/^https:\/\//, '');
  return normalizeRegistry(stripped === key ? key : stripped.replace(/\/.*$/s, ''));
}

function normalizeRegistry(host: string): string {
  return host === 'docker.io' || host === 'registry-1.docker.io' ? 'index.docker.io' : host;
}
