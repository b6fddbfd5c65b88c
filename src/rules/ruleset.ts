import type { ImageReference } from '../image/reference.ts';
import type { RegistryPattern } from './pattern.ts';
import type { Origin, RuleSource } from './problem.ts';

/** One registry pattern with its trust and its secrets. A document's rule with a list of registries becomes one of these for each. */
export type Rule = {
  /** The author's name for it, else the pattern's text. */
  readonly name: string;
  readonly pattern: RegistryPattern;
  readonly trust: boolean;
  /** The author's words on why it is distrusted. */
  readonly reason?: string;
  /** Names of pull secrets, in the author's order; empty when the registry needs none. */
  readonly pullSecrets: readonly string[];
  readonly pushSecret?: string;
  /** From `internalRegistries`: always trusted, never given a secret. */
  readonly internal: boolean;
  readonly origin: Origin;
};

export type Unconfigured = 'deny' | 'warn' | 'allow';
export type Mode = 'enforce' | 'warn' | 'audit';

/** What the documents say beside their rules; defaults filled in. */
export type RuleSettings = {
  /** What happens to images that no rule names. Default `deny`. */
  readonly unconfigured: Unconfigured;
  /** What happens to refusals. Default `enforce`. */
  readonly mode: Mode;
  /** Whom a blocked person asks, in the policy owner's words. */
  readonly contact?: string;
};

/** All rules in force at one moment, compiled. */
export type RuleSet = {
  /** Short content hash: same rules and settings, same revision, whatever the order of documents. */
  readonly revision: string;
  readonly settings: RuleSettings;
  readonly rules: readonly Rule[];
  /** Documents it was made of, for messages that say whom to ask. */
  readonly sources: readonly RuleSource[];
  /** The most specific rule whose pattern holds the reference. Cost grows with the reference, not with the rules. */
  match(reference: ImageReference): Rule | undefined;
  /** Trusted, non-internal rules a person probably meant, nearest first, at most three: same host on another port or path, then a near spelling of the host. */
  nearest(reference: ImageReference): readonly Rule[];
};
