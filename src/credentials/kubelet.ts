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
  return createKeyring(entries).find(repository);
}

/** The entries of a secret, parsed once for many images. */
export type Keyring<Entry> = {
  /** As `lookUp`. */
  find(repository: string): readonly Entry[];
  /**
   * The entries that are tried first. They have one key, except for its scheme. The kubelet tries them in random order. Expects a
   * repository whose path is not empty and has no escapes, as that of every image.
   */
  first(repository: string): readonly Entry[];
};

export function createKeyring<Entry extends KeyedEntry>(entries: readonly Entry[]): Keyring<Entry> {
  const byName = new Map<string, Entry[]>();
  for (const entry of entries) {
    const name = keyringName(entry.key);
    if (name === undefined) continue;
    const others = byName.get(name);
    if (others) others.push(entry);
    else byName.set(name, [entry]);
  }
  const names = [...byName.keys()].sort().reverse();
  const keys = names.map((name) => ({ name, location: parseLocation(name) }));
  const withWildcard = keys.filter(({ location }) => location?.labels.some((label) => label.includes('*')));
  const entriesOf = (name: string | undefined) => (name === undefined ? [] : (byName.get(name) ?? []));
  const ofDockerHub = (repository: string) => (isOnDockerHub(repository) ? entriesOf(dockerHubKey) : []);

  /** The greatest name that is a prefix of the repository and contains its whole host. */
  function literalName(repository: string): string | undefined {
    const hostEnd = repository.indexOf('/');
    for (let end = repository.length; end >= hostEnd; end -= 1) {
      const name = repository.slice(0, end);
      if (byName.has(name)) return name;
    }
    return undefined;
  }

  return {
    find(repository) {
      const target = parseLocation(repository);
      const found = keys.filter(({ location }) => target && locationMatches(location, target)).flatMap(({ name }) => entriesOf(name));
      return found.length > 0 ? found : ofDockerHub(repository);
    },
    first(repository) {
      const target = parseLocation(repository);
      if (!target) return [];
      const literal = literalName(repository);
      const wildcard = withWildcard.find(({ location }) => locationMatches(location, target))?.name;
      const first = literal === undefined || (wildcard !== undefined && wildcard > literal) ? wildcard : literal;
      return first === undefined ? ofDockerHub(repository) : entriesOf(first);
    },
  };
}

/** The host of the key that `docker login` writes for Docker Hub, `https://index.docker.io/v1/`. */
const dockerHubKey = 'index.docker.io';

/** Ports are compared as text, hosts label by label, and the path of the key is a text prefix: `H/tea` matches `H/team`. */
function locationMatches(key: KeyLocation | undefined, target: KeyLocation): boolean {
  return (
    key !== undefined &&
    key.port === target.port &&
    target.path.startsWith(key.path) &&
    key.labels.length === target.labels.length &&
    key.labels.every((glob, index) => labelMatches(glob, target.labels[index] ?? ''))
  );
}

/** Whether the kubelet takes the repository for one of Docker Hub. `registry-1.docker.io` is none for it. */
export function isOnDockerHub(repository: string): boolean {
  const [host = '', ...path] = repository.split('/');
  if (host === '') return false;
  return path.length === 0 || host === dockerHub || host === dockerHubKey || !/[.:]/.test(host);
}
