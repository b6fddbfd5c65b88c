/** Finds the entries of registry secrets that a kubelet tries for an image (kubernetes pkg/credentialprovider/keyring.go). */
import { dockerHub } from '../image/docker-hub.ts';
import { type ImageReference, repositoryAsWritten } from '../image/reference.ts';
import { type KeyLocation, keyringName, parseLocation } from './key-location.ts';
import { labelMatches } from './match-label.ts';

/** An entry of `auths`. A caller may pass entries with further fields, and gets them back. */
export type KeyedEntry = {
  /** As in the secret. */
  readonly key: string;
};

/**
 * The entries that a kubelet tries, in its order: those with the greater key first. `entries` are those of all secrets of the Pod, in the
 * order of `imagePullSecrets`. Empty if the kubelet pulls without a credential, or with one of the node.
 */
export function findCredentials<Entry extends KeyedEntry>(entries: readonly Entry[], image: ImageReference): readonly Entry[] {
  return lookUp(entries, repositoryAsWritten(image));
}

/** The same for the name of a repository, `host[:port]/path`, spelled as the kubelet has it. */
export function lookUp<Entry extends KeyedEntry>(entries: readonly Entry[], repository: string): readonly Entry[] {
  const byName = new Map<string, Entry[]>();
  for (const entry of entries) {
    const name = keyringName(entry.key);
    if (name !== undefined) byName.set(name, [...(byName.get(name) ?? []), entry]);
  }
  const target = parseLocation(repository);
  const found = [...byName.keys()]
    .sort()
    .reverse()
    .filter((name) => target && locationMatches(parseLocation(name), target))
    .flatMap((name) => byName.get(name) ?? []);
  if (found.length > 0 || !isOnDockerHub(repository)) return found;
  return byName.get(dockerHubKey) ?? [];
}

/** The host of the key that `docker login` writes for Docker Hub, `https://index.docker.io/v1/`. */
const dockerHubKey = 'index.docker.io';

/** Ports are compared as text, hosts label by label, and the path of the key is a text prefix: `H/tea` matches `H/team`. */
function locationMatches(key: KeyLocation | undefined, target: KeyLocation): boolean {
  return (
    key !== undefined &&
    key.port === target.port &&
    key.labels.length === target.labels.length &&
    target.path.startsWith(key.path) &&
    key.labels.every((glob, index) => labelMatches(glob, target.labels[index] ?? ''))
  );
}

/** Whether the kubelet takes the repository for one of Docker Hub. `registry-1.docker.io` is none for it. */
export function isOnDockerHub(repository: string): boolean {
  const [host = '', ...path] = repository.split('/');
  if (host === '') return false;
  return path.length === 0 || host === dockerHub || host === dockerHubKey || !/[.:]/.test(host);
}
