/** Intersects and compares registry patterns, and builds a reference that represents a whole pattern. */
import type { ImageReference } from '../../image/reference.ts';
import type { PatternHost, PatternPort, RegistryPattern } from '../language/pattern.ts';

/** The pattern that matches exactly the images that both patterns match. Undefined if there are none. */
export function intersectPatterns(
  one: Omit<RegistryPattern, 'text'>,
  other: Omit<RegistryPattern, 'text'>,
): Omit<RegistryPattern, 'text'> | undefined {
  const host = intersectHosts(one.host, other.host);
  if (!host) return undefined;
  const port = intersectPorts(one.port, other.port);
  if (port === undefined) return undefined;
  const path = intersectPaths(one.path, other.path);
  return path && { host, port, path };
}

/**
 * A reference that represents all images of a pattern. A rule set returns for it the most specific rule that matches all of them. No real
 * reference has a `*` label or segment, or port 0, so only a `*` at that position of a pattern matches it.
 */
export function representativeOf({ host, port, path }: Omit<RegistryPattern, 'text'>): ImageReference {
  const name = host.kind === 'any' ? '*' : host.kind === 'suffix' ? `*.${host.name}` : host.name;
  const number = port === 'any' ? 0 : port;
  // A reference has at least one segment.
  return {
    written: name,
    host: name,
    ...(number !== 'default' && { port: number }),
    path: path.length > 0 ? path : ['*'],
    qualified: true,
  };
}

/** Whether the first pattern matches every image of the second. */
export function covers(one: RegistryPattern, other: Omit<RegistryPattern, 'text'>): boolean {
  return one.path.length <= other.path.length && coversWithPath(one, other);
}

/** The same, but the first path may be longer by stars, if every image of the second has segments for them. */
export function coversWithPath(one: RegistryPattern, other: Omit<RegistryPattern, 'text'>): boolean {
  return (
    hostCovers(one.host, other.host) &&
    (one.port === 'any' || one.port === other.port) &&
    one.path.length <= Math.max(other.path.length, shortestPath(other)) &&
    one.path.every((segment, index) => segment === '*' || segment === other.path[index])
  );
}

function hostCovers(one: PatternHost, other: PatternHost): boolean {
  if (one.kind === 'any') return true;
  if (one.kind === 'exact') return other.kind === 'exact' && other.name === one.name;
  return other.kind !== 'any' && (other.name.endsWith(`.${one.name}`) || (other.kind === 'suffix' && other.name === one.name));
}

/** A repository has at least one segment, on Docker Hub at least two. */
export function shortestPath({ host, port }: Pick<RegistryPattern, 'host' | 'port'>): number {
  return host.kind === 'exact' && host.name === 'docker.io' && port === 'default' ? 2 : 1;
}

function intersectHosts(one: PatternHost, other: PatternHost): PatternHost | undefined {
  if (one.kind === 'any') return other;
  if (other.kind === 'any') return one;
  if (one.kind === 'exact' && other.kind === 'exact') return one.name === other.name ? one : undefined;
  if (one.kind === 'exact') return one.name.endsWith(`.${other.name}`) ? one : undefined;
  if (other.kind === 'exact') return other.name.endsWith(`.${one.name}`) ? other : undefined;
  if (one.name === other.name || one.name.endsWith(`.${other.name}`)) return one;
  return other.name.endsWith(`.${one.name}`) ? other : undefined;
}

function intersectPorts(one: PatternPort, other: PatternPort): PatternPort | undefined {
  if (one === 'any') return other;
  return other === 'any' || one === other ? one : undefined;
}

function intersectPaths(one: readonly string[], other: readonly string[]): readonly string[] | undefined {
  const [longer, shorter] = one.length >= other.length ? [one, other] : [other, one];
  const path: string[] = [];
  for (const [index, segment] of longer.entries()) {
    const otherSegment = shorter[index] ?? '*';
    if (segment !== '*' && otherSegment !== '*' && segment !== otherSegment) return undefined;
    path.push(segment === '*' ? otherSegment : segment);
  }
  return path;
}
