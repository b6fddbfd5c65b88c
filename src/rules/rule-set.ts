import type { ImageReference } from '../image/reference.ts';
import type { RegistryPattern } from './language/pattern.ts';
import type { Origin, RuleSource } from './language/problem.ts';

/** A namespace, as far as it is known. */
export type NamespaceContext = {
  readonly namespace: string;
  /** Its labels; undefined where nobody can say. */
  readonly labels: Readonly<Record<string, string>> | undefined;
};

/** The namespaces that a rule, an exemption or an override is about; where there is none, it is about all. */
export type NamespaceSelector =
  /** Each an exact name, or a glob in which `*` stands for any number of characters. */
  | { readonly kind: 'names'; readonly names: readonly string[] }
  /** Kubernetes' own label selector: all requirements hold. */
  | { readonly kind: 'labels'; readonly requirements: readonly LabelRequirement[] };

export type LabelRequirement = {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  /** Sorted, without doubles; empty for `Exists` and `DoesNotExist`. */
  readonly values: readonly string[];
};

/** One registry pattern with its trust and its secrets. A document's rule with a list of registries becomes one of these for each. */
export type Rule = {
  /** The author's name for it, else the pattern's text. */
  readonly name: string;
  readonly pattern: RegistryPattern;
  /** The port is written although it means what none would mean: `reg.io:443` where the rule trusts, `reg.io:*` where it refuses. */
  readonly portWritten?: true;
  readonly trust: boolean;
  /** The author's words on why it is distrusted. */
  readonly reason?: string;
  /** Names of pull secrets, in the author's order; empty when the registry needs none. */
  readonly pullSecrets: readonly string[];
  readonly pushSecret?: string;
  /** What happens where none of the pull secrets, or not the push secret, is in the namespace. */
  readonly onMissingSecret: OnMissingSecret;
  /** Where the rule applies; absent: everywhere. */
  readonly namespaces?: NamespaceSelector;
  /** From `internalRegistries`: always trusted, never given a secret. */
  readonly internal: boolean;
  /** The namespace whose own rules it belongs to; absent for the cluster's. */
  readonly owner?: string;
  readonly origin: Origin;
};

export type OnMissingSecret = 'warn' | 'deny' | 'ignore';
export type Unconfigured = 'deny' | 'warn' | 'allow';
export type Mode = 'enforce' | 'warn' | 'audit';
/** Which objects secrets are written into: all, Pods only, or none. */
export type Inject = 'all' | 'pods' | 'off';
/** What an image name without registry means: Docker Hub, nothing that is let in, or the first of these hosts that a node finds it on. */
export type ShortNames = 'docker.io' | 'reject' | readonly string[];

/** What may come in until a day although no rule trusts it; it is given no secret. */
export type Exemption = {
  readonly pattern: RegistryPattern;
  readonly namespaces?: NamespaceSelector;
  /** Last day on which it holds, in UTC: `2027-03-31`. */
  readonly until: string;
  readonly reason: string;
  readonly origin: Origin;
};

/** Settings for some namespaces; at least one of the three is written. */
export type Override = {
  readonly namespaces: NamespaceSelector;
  readonly mode?: Mode;
  readonly unconfigured?: Unconfigured;
  readonly inject?: Inject;
  readonly origin: Origin;
};

/** What namespaces may trust by rules of their own. */
export type Delegation = { readonly pattern: RegistryPattern; readonly origin: Origin };

/** What the documents say beside their rules; defaults filled in. */
export type RuleSettings = NamespaceSettings & {
  /** Default `docker.io`. */
  readonly shortNames: ShortNames;
  /** Whom a blocked person asks, in the policy owner's words. */
  readonly contact?: string;
};

/** The settings that overrides can change. */
export type NamespaceSettings = {
  /** What happens to images that no rule names. Default `deny`. */
  readonly unconfigured: Unconfigured;
  /** What happens to refusals. Default `enforce`. */
  readonly mode: Mode;
  /** Default `all`. */
  readonly inject: Inject;
};

/**
 * An answer that depends on the namespace. Where its labels are unknown and would count, the answer is the strictest that they could lead
 * to, and `unsure` names what selects by labels.
 */
export type Answer<Value> = { readonly value: Value; readonly unsure?: Origin };

/** The same of settings, each by itself: an image that is trusted is let in whatever `mode` is. `unsure` is absent where all are certain. */
export type SettingsAnswer = {
  readonly value: NamespaceSettings;
  readonly unsure?: { readonly [Name in keyof NamespaceSettings]?: Origin };
};

/** All rules in force at one moment, compiled. */
export type RuleSet = {
  /** Short content hash: same rules and settings, same revision, whatever the order of documents. */
  readonly revision: string;
  /** As written for the whole cluster, without overrides. */
  readonly settings: RuleSettings;
  /** Whether the documents say what a name without registry means; otherwise the cluster may (see `withPlatform`). */
  readonly shortNamesWritten: boolean;
  /** The revision of what is written alone, where the cluster adds to it. */
  readonly writtenRevision?: string;
  /** The cluster's rules, internal registries first. */
  readonly rules: readonly Rule[];
  readonly exemptions: readonly Exemption[];
  readonly overrides: readonly Override[];
  readonly delegate: readonly Delegation[];
  /** Rules that namespaces have of their own, by namespace. */
  readonly namespaceRules: ReadonlyMap<string, readonly Rule[]>;
  /** The cluster's documents it was made of, for messages that say whom to ask. */
  readonly sources: readonly RuleSource[];
  /** The settings that hold in a namespace; for each, the most specific override that writes it. */
  settingsAt(place: NamespaceContext): SettingsAnswer;
  /**
   * The rule that decides: the most specific whose pattern holds the reference and that applies in the namespace, and no looser with the
   * namespace's own rules than without. Cost grows with the reference, not with the rules.
   */
  match(reference: ImageReference, place: NamespaceContext): Answer<Rule | undefined>;
  /** Exemptions that hold the reference and apply in the namespace, whatever their day, the longest lasting first. */
  exemptionsFor(reference: ImageReference, place: NamespaceContext): Answer<readonly Exemption[]>;
  /** Trusted, non-internal rules of the namespace a person probably meant, nearest first, at most three: same host on another port or path, then a near spelling of the host. */
  nearest(reference: ImageReference, place: NamespaceContext): readonly Rule[];
};
