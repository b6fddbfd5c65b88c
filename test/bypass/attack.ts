/** What the tables of attacks are made of, and the rules that they are tried against. */
import { kindsWithImages } from '../../src/object/kinds.ts';

export type Attack = {
  /** What is tried. */
  readonly attack: string;
  readonly right: 'refused' | 'admitted';
  /** Why that is right. */
  readonly why: string;
  readonly kind?: string;
  /** By the kind's own unless told. */
  readonly group?: string;
  readonly object: unknown;
  /** An UPDATE of this. */
  readonly oldObject?: unknown;
  /** `alice` unless told. */
  readonly user?: string;
  /** Secrets that the object may get; none unless told. */
  readonly secrets?: readonly string[];
  /** The object as it is sent, where JSON made of it would not show the attack. */
  readonly text?: string;
  /** A real API server refuses it before or after asking us, for another reason. */
  readonly apiServerRefuses?: true;
  /** Why a real API server is not asked. */
  readonly notOnCluster?: string;
};

export const namespace = 'shop';

/** In the cluster, names of the same length stand for these two namespaces. */
export const rulesFor = ({ vip = 'vip', unconfigured = 'deny' } = {}) => `
mode: enforce
unconfigured: ${unconfigured}
internalRegistries: [internal.example.com:5000]
rules:
- {name: good, registry: good.example.com, pullSecret: good-pull, pushSecret: good-push}
- {name: banned, registry: good.example.com/banned, trust: false, reason: it is banned}
- {name: port, registry: "port.example.com:5000", pullSecret: port-pull}
- {name: wild, registry: "*.wild.example.com", pullSecret: wild-pull}
- {name: team, registry: paths.example.com/team, pullSecret: team-pull}
- {name: one, registry: "paths.example.com/any/*/app", pullSecret: any-pull}
- {name: ipv6, registry: "[2001:db8::1]:5000", pullSecret: ipv6-pull}
- {name: vip, registry: vip.example.com, namespaces: [${vip}], pullSecret: vip-pull}
- {name: hub, registry: docker.io, trust: false, reason: no Docker Hub}
- {name: official, registry: docker.io/library/busybox}
- {name: ids, registry: docker.io/library/sha256}
- {name: longer ids, registry: docker.io/library/sha512}
`;

export const good = 'good.example.com/app:1';
export const evil = 'evil.example.com/app:1';

export function containers(...images: readonly unknown[]): object[] {
  return images.map((image, index) => ({ name: `c${index}`, image }));
}

export function pod(...images: readonly unknown[]): { spec: { containers: object[] } } {
  return { spec: { containers: containers(...images) } };
}

/** A Pod of one container with this image. */
export function refusedImage(image: string, attack: string, why: string, more: Partial<Attack> = {}): Attack {
  return { attack: `${attack}: ${JSON.stringify(image)}`, right: 'refused', why, object: pod(image), ...more };
}

export function admittedImage(image: string, attack: string, why: string, secrets: readonly string[]): Attack {
  return { attack: `${attack}: ${JSON.stringify(image)}`, right: 'admitted', why, object: pod(image), secrets };
}

export function kindOf({ kind = 'Pod', group }: Attack): { kind: string; group: string; version: string } {
  const row = kindsWithImages.find((each) => each.kind === kind);
  return { kind, group: group ?? row?.group ?? '', version: row?.version ?? 'v1' };
}
