/** The types of compiled rules: what the compiler produces and the rest of regkeeper reads. */
import type { ImageReference } from '../image/reference.ts';
import type { RegistryPattern } from './language/pattern.ts';
import type { Origin, RuleSource } from './language/problem.ts';

/** A namespace and its labels, as far as they are known. */
export type NamespaceContext = {
  readonly namespace: string;
  /** Undefined if they are unknown. */
  readonly labels: Readonly<Record<string, string>> | undefined;
};

/** The namespaces to which a rule, an exemption or an override applies. Without a selector it applies to all. */
export type NamespaceSelector =
  /** Each is an exact name, or a glob in which `*` matches any number of characters. */
  | { readonly kind: 'names'; readonly names: readonly string[] }
  /** Kubernetes' label selector: all requirements must match. */
  | { readonly kind: 'labels'; readonly requirements: readonly LabelRequirement[] };

export type LabelRequirement = {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  /** Sorted, without duplicates. Empty for `Exists` and `DoesNotExist`. */
  readonly values: readonly string[];
};

/** One registry pattern with its trust and its secrets. A document's rule with a list of registries becomes one rule for each. */
export type Rule = {
  /** The name in the document, else the text of the pattern. */
  readonly name: string;
  readonly pattern: RegistryPattern;
  /** The written port means the same as no port: `reg.io:443` in a trusting rule, `reg.io:*` in a denying rule. */
  readonly portWritten?: true;
  /** The pattern as in the document, if it differs from its canonical text, such as `index.docker.io`. */
  readonly written?: string;
  readonly trust: boolean;
  /** The author's explanation of why the registry is untrusted, or why its trust ends. */
  readonly reason?: string;
  /** Last day of trust, in UTC: `2027-03-31`. From the next day on the rule denies. Only in trusting rules. */
  readonly until?: string;
  /** First day on which the rule warns about its end. Present if `until` is. */
  readonly warnFrom?: string;
  /** Names of pull secrets, in the author's order. Empty if the registry needs none. */
  readonly pullSecrets: readonly string[];
  readonly pushSecret?: string;
  /** What happens if the namespace contains none of the pull secrets, or not the push secret. */
  readonly onMissingSecret: OnMissingSecret;
  /** Where the rule applies. Absent: everywhere. */
  readonly namespaces?: NamespaceSelector;
  /** Comes from `internalRegistries`: always trusted, never gets a secret. */
  readonly internal: boolean;
  /** The namespace whose own rules contain this rule. Absent for the cluster's rules. */
  readonly ownerNamespace?: string;
  readonly origin: Origin;
};

export type OnMissingSecret = 'warn' | 'deny' | 'ignore';
export type Unconfigured = 'deny' | 'warn' | 'allow';
export type Mode = 'enforce' | 'warn' | 'audit';
/** Into which objects secrets are injected: all, Pods only, or none. */
export type Inject = 'all' | 'pods' | 'off';
/** The meaning of an image name without a registry: Docker Hub, always denied, or the first of these hosts on which a node finds it. */
export type ShortNames = 'docker.io' | 'reject' | readonly string[];

/** Allows images until a day although no rule trusts them. They get no secret. */
export type Exemption = {
  readonly pattern: RegistryPattern;
  readonly namespaces?: NamespaceSelector;
  /** Last day on which it applies, in UTC: `2027-03-31`. */
  readonly until: string;
  readonly reason: string;
  readonly origin: Origin;
};

/** Settings for some namespaces. At least one of the three settings is present. */
export type Override = {
  readonly namespaces: NamespaceSelector;
  readonly mode?: Mode;
  readonly unconfigured?: Unconfigured;
  readonly inject?: Inject;
  readonly origin: Origin;
};

/** A Secret that `regkeeper deliver` copies from regkeeper's own namespace to others. */
export type DeliveredSecret = {
  /** As rules name it, and the name of every copy. Unique in a rule set. */
  readonly name: string;
  /** The Secret in regkeeper's own namespace from which copies are made. */
  readonly source: string;
  /** Where copies may exist, as far as a cluster rule that names the secret applies too. Every namespace is `names` with `*`. */
  readonly namespaces: NamespaceSelector;
  readonly deliver: Deliver;
  /** How long a copy outlives its last user, in seconds. Has no effect with `always`. */
  readonly retainSeconds: number;
  readonly origin: Origin;
};

/** When a namespace gets a copy: as soon as an object there needs it, or in any case. */
export type Deliver = 'onDemand' | 'always';

/** A pattern that namespaces may trust in their own rules. */
export type Delegation = { readonly pattern: RegistryPattern; readonly origin: Origin };

/** The settings of the documents, with defaults filled in. */
export type RuleSettings = NamespaceSettings & {
  /** Default `docker.io`. */
  readonly shortNames: ShortNames;
  /** Whom a user can contact after a denial, as written by the policy owner. */
  readonly contact?: string;
  /** A page about the rules, with `http://` or `https://`. Shown to the user and never requested. */
  readonly helpUrl?: string;
};

/** The settings that overrides can change. */
export type NamespaceSettings = {
  /** The outcome for images that match no rule. Default `deny`. */
  readonly unconfigured: Unconfigured;
  /** The effect of denials. Default `enforce`. */
  readonly mode: Mode;
  /** Default `all`. */
  readonly inject: Inject;
};

/**
 * A result that depends on the namespace. If unknown labels could change it, the value is the strictest possible one, and `unsure` is the
 * origin of an entry that selects by them.
 */
export type Answer<Value> = { readonly value: Value; readonly unsure?: Origin };

/** The rule that decides. */
export type RuleAnswer = Answer<Rule | undefined> & {
  /**
   * Another trusting rule whose end counts too, the first to end if there are several. It is the cluster's rule where a namespace's own
   * rule decides, or a more specific rule that may apply but selects by unknown labels.
   */
  readonly limit?: Rule;
};

/**
 * The same for settings, each on its own, since a trusted image is allowed in every `mode`. `unsure` is absent if all settings are certain.
 */
export type SettingsAnswer = {
  readonly value: NamespaceSettings;
  readonly unsure?: { readonly [Name in keyof NamespaceSettings]?: Origin };
};

/** All rules in force at one moment, compiled. */
export type RuleSet = {
  /** A short hash of the content. Equal rules and settings have the same revision, in any order of documents. */
  readonly revision: string;
  /** For the whole cluster, without overrides. */
  readonly settings: RuleSettings;
  /** Whether the documents define the meaning of a name without a registry. If not, the cluster may define it (see `withPlatform`). */
  readonly shortNamesWritten: boolean;
  /** The revision of the documents alone. Present if the cluster adds to them. */
  readonly writtenRevision?: string;
  /** The cluster's rules, internal registries first. */
  readonly rules: readonly Rule[];
  readonly exemptions: readonly Exemption[];
  readonly overrides: readonly Override[];
  readonly delegate: readonly Delegation[];
  /** Secrets with delivery, in the order of documents. */
  readonly deliveredSecrets: readonly DeliveredSecret[];
  /** Namespaces' own rules, by namespace. */
  readonly namespaceRules: ReadonlyMap<string, readonly Rule[]>;
  /** The cluster's documents from which it was compiled, for messages that say where to change a rule. */
  readonly sources: readonly RuleSource[];
  /** The settings in a namespace. For each setting the most specific override that contains it wins. */
  settingsAt(context: NamespaceContext): SettingsAnswer;
  /**
   * The rule that decides: the most specific rule that matches the reference and applies in the namespace. The namespace's own rules never
   * make the result looser. The cost grows with the reference, not with the number of rules.
   */
  match(reference: ImageReference, context: NamespaceContext): RuleAnswer;
  /** The same without namespaces' own rules. */
  matchCluster(reference: ImageReference, context: NamespaceContext): RuleAnswer;
  /** Exemptions that match the reference and apply in the namespace, including expired ones. The last to expire comes first. */
  exemptionsFor(reference: ImageReference, context: NamespaceContext): Answer<readonly Exemption[]>;
  /**
   * Rules that the author of a denied image probably meant, at most three, nearest first. Only trusting rules of the namespace and
   * internal registries: first those with the same host but another port or path, then those with a similar host.
   */
  nearest(reference: ImageReference, context: NamespaceContext): readonly Rule[];
};
