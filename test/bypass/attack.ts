/** The type of a row of the attack tables, helpers that build rows, and the rules that attacks are tried against. */
import { kindsWithImages } from '../../src/object/kinds.ts';

export type Attack = {
  /** What the attacker tries. */
  readonly attack: string;
  readonly right: 'denied' | 'allowed';
  /** Why this outcome is right. */
  readonly why: string;
  readonly kind?: string;
  /** The API group. By default the one that the kinds table lists for the kind. */
  readonly group?: string;
  readonly object: unknown;
  /** Makes the request an UPDATE of this object. */
  readonly oldObject?: unknown;
  /** Sends the request to this subresource. */
  readonly subresource?: string;
  /** By default `alice`. */
  readonly user?: string;
  /** Secrets that the object may get. By default none. */
  readonly secrets?: readonly string[];
  /** The exact JSON text of the object, for attacks that are lost when `object` is serialized. */
  readonly text?: string;
  /** A real API server rejects the object for another reason, before or after it calls the webhooks. */
  readonly apiServerRejects?: true;
  /** Why the attack is not sent to a real API server. */
  readonly notOnCluster?: string;
};

export const namespace = 'shop';

/** Rules in YAML. `vip` is the namespace with its own registry, for which the cluster scenario passes a generated name. */
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
- {name: banned at ipv6, registry: "[2001:db8::1]:5000/banned", trust: false}
- {name: ipv4, registry: "10.0.0.5:5000", pullSecret: ipv4-pull}
- {name: banned at ipv4, registry: "10.0.0.5:5000/banned", trust: false}
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

/** A row that creates a Pod with this image in its only container, which must be denied. */
export function deniedImage(image: string, attack: string, why: string, more: Partial<Attack> = {}): Attack {
  return { attack: `${attack}: ${JSON.stringify(image)}`, right: 'denied', why, object: pod(image), ...more };
}

/** A row that creates a Pod with this image in its only container, which must be allowed and get exactly these secrets. */
export function allowedImage(image: string, attack: string, why: string, secrets: readonly string[]): Attack {
  return { attack: `${attack}: ${JSON.stringify(image)}`, right: 'allowed', why, object: pod(image), secrets };
}

export function kindOf({ kind = 'Pod', group }: Attack): { kind: string; group: string; version: string } {
  const row = kindsWithImages.find((each) => each.kind === kind);
  return { kind, group: group ?? row?.group ?? '', version: row?.version ?? 'v1' };
}
