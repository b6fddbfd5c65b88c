/** Renders a draft as a rules document with comments. */
import { countOf } from '../image/wording.ts';
import { parseRulesDocument } from '../rules/language/parse.ts';
import type { Mode } from '../rules/rule-set.ts';
import { printCommentedYaml } from '../yaml/print-commented-yaml.ts';
import type { Draft, DraftRule, DraftSecret, RegistryUse } from './draft-rules.ts';
import type { SecretAction, SecretUses } from './find-secrets.ts';

export type DraftNotes = {
  /** The number of evaluated objects with images. */
  readonly objects: number;
  /** What stays denied or unknown whatever the rules contain, one line each. */
  readonly denied: readonly string[];
  readonly unknown: readonly string[];
  readonly notEvaluated: readonly string[];
};

export type RenderedDraft = { readonly text: string; readonly fits: boolean };

/**
 * The most detailed document within the limits of rules documents, which are those of a ConfigMap: with comments about each rule, with counts
 * only, or without. `fits` is false if even the rules alone exceed a limit.
 */
export function renderDraft(draft: Draft, notes: DraftNotes, mode: Mode = 'audit'): RenderedDraft {
  let text = '';
  for (const detail of details) {
    text = renderWith(draft, notes, mode, detail);
    if (parseRulesDocument(text, { kind: 'file', file: '' }).ok) return { text, fits: true };
  }
  return { text, fits: false };
}

const details = ['examples', 'counts', 'none'] as const;
type Detail = (typeof details)[number];

function renderWith(draft: Draft, notes: DraftNotes, mode: Mode, detail: Detail): string {
  const { rules, shortNames } = draft;
  const value = {
    mode,
    ...(shortNames.length > 0 && { shortNames: 'docker.io' }),
    rules: rules.map(({ registry, pull, push }) => ({
      registry,
      ...(pull.kind === 'certain' && { pullSecret: pull.name }),
      ...(push.kind === 'certain' && { pushSecret: push.name }),
    })),
  };
  const comments = new Map<string, readonly string[]>([['', headComment(draft, notes)]]);
  if (shortNames.length > 0) comments.set('/shortNames', shortNamesComment(shortNames));
  if (detail !== 'none') for (const [index, rule] of rules.entries()) comments.set(`/rules/${index}`, ruleComment(rule, detail));
  return printCommentedYaml(value, comments);
}

function headComment({ rules, internal, unlikely }: Draft, { objects, denied, unknown, notEvaluated }: DraftNotes): readonly string[] {
  const images = new Set(rules.flatMap((rule) => rule.images)).size;
  return [
    `Starter rules from regkeeper init: ${countOf(rules.length, 'rule')} for ${countOf(images, 'image')} of ${countOf(objects, 'object')}.`,
    'They trust every registry in use, and mode: audit denies no image. Check each rule, then set mode: warn, then mode: enforce.',
    ...internalComment(internal),
    ...section('No image can come from these registries, so they have no rule', unlikely.map(renderUnlikely)),
    ...section('No rule can allow these images. Fix them before you set mode: enforce', denied),
    ...section('These images are not known yet. Their registries may need a rule', unknown),
    ...section('Not evaluated, so their registries may need a rule', notEvaluated),
  ];
}

function section(title: string, entries: readonly string[]): readonly string[] {
  if (entries.length === 0) return [];
  const more = entries.length > mostEntries ? [`- and ${entries.length - mostEntries} more`] : [];
  return ['', `${title}:`, ...entries.slice(0, mostEntries).map((entry) => `- ${clip(entry, longestEntry)}`), ...more];
}

const mostEntries = 10;
const longestEntry = 500;

function internalComment(internal: readonly RegistryUse[]): readonly string[] {
  if (internal.length === 0) return [];
  const registries = internal.map(({ registry }) => registry);
  return [
    '',
    'On OpenShift, the internal registry is trusted without a rule. For "regkeeper check" without a cluster, remove the # before:',
    `internalRegistries: [${registries.map((registry) => JSON.stringify(registry)).join(', ')}]`,
    ...internal.map((use) => `${use.registry}: ${renderUse(use, 'examples')}`),
  ];
}

function renderUnlikely({ why, ...use }: Draft['unlikely'][number]): string {
  return `${why} ${renderUse(use, 'examples')}`;
}

function shortNamesComment(shortNames: readonly string[]): readonly string[] {
  return [
    `Image names without a registry are treated as Docker Hub images: ${countOf(shortNames.length, 'name')}, such as ${listed(shortNames, 3)}.`,
    'OpenShift nodes may pull them from a different registry. Include the registry in image names, then remove this line.',
  ];
}

function ruleComment(rule: DraftRule, detail: 'examples' | 'counts'): readonly string[] {
  return [renderUse(rule, detail), ...secretComment('pull', rule.pull, rule), ...secretComment('push', rule.push, rule)];
}

function renderUse({ images, namespaces, objects }: RegistryUse, detail: Detail): string {
  const counts = `${countOf(images.length, 'image')} in ${countOf(objects, 'object')} of ${countOf(namespaces.length, 'namespace')}`;
  if (detail !== 'examples') return `${counts}.`;
  return `${counts} (${listed(namespaces, 5)}): ${listed(images, 3)}`;
}

function secretComment(action: SecretAction, secret: DraftSecret, { registry }: DraftRule): readonly string[] {
  const field = `${action}Secret`;
  switch (secret.kind) {
    case 'none':
      return [];
    case 'certain':
      return [`${field}: used in ${renderNamespaces(secret.seen.get(secret.name) ?? new Set())}.`];
    case 'unclear':
      return [`${field} is not set, because ${reasons[secret.why](registry)} Seen: ${renderSecrets(secret.seen)}`];
  }
}

const reasons = {
  several: () => 'several secrets are in use.',
  uncertain: () => 'the contents of these secrets are unknown.',
  public: (registry: string) => `${registry} serves public images too, and an expired secret makes their pulls fail.`,
} as const;

function renderSecrets(seen: SecretUses): string {
  const secrets = [...seen].map(([name, namespaces]) => `${clip(name, longestName)} in ${renderNamespaces(namespaces)}`).sort();
  return listed(secrets, 5, Number.POSITIVE_INFINITY);
}

function renderNamespaces(namespaces: ReadonlySet<string>): string {
  return `${namespaces.size === 1 ? 'namespace' : 'namespaces'} ${listed([...namespaces].sort(), 3)}`;
}

/** The longest name of a Secret or namespace in a comment, and the longest image. */
const longestName = 120;

function listed(texts: readonly string[], most: number, longest = longestName): string {
  const shown = texts.slice(0, most).map((text) => clip(text, longest));
  return texts.length > most ? `${shown.join(', ')} and ${texts.length - most} more` : shown.join(', ');
}

function clip(text: string, longest: number): string {
  return text.length > longest ? `${text.slice(0, longest)}...` : text;
}
