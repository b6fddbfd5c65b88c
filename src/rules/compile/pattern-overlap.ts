import type { ImageReference } from '../../image/reference.ts';
import type { PatternHost, PatternPort, RegistryPattern } from '../language/pattern.ts';

/** What two patterns have in common, again a pattern but for its text; undefined where no image is in both. */
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
 * A reference that stands for all images of a pattern: a rule set finds for it the most specific rule that holds every one of them. No real
 * reference has its star labels and segments, nor port 0, so only what is written with `*` in that place holds it.
 */
export function standInFor({ host, port, path }: Omit<RegistryPattern, 'text'>): ImageReference {
  const name = host.kind === 'any' ? '*' : host.kind === 'suffix' ? `*.${host.name}` : host.name;
  const number = port === 'any' ? 0 : port;
  // Every reference has a segment.
  return {
    written: name,
    host: name,
    ...(number !== 'default' && { port: number }),
    path: path.length > 0 ? path : ['*'],
    qualified: true,
  };
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
    const beside = shorter[index] ?? '*';
    if (segment !== '*' && beside !== '*' && segment !== beside) return undefined;
    path.push(segment === '*' ? beside : segment);
  }
  return path;
}
