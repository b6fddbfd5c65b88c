/** Finds the rules in the YAML blocks of the docs. */
import { parse, parseAllDocuments, parseDocument } from 'yaml';
import type { RuleScope } from '../../../src/rules/language/parse.ts';
import { fieldsOfLevel } from '../../../src/rules/language/schema.ts';

export type Example = { readonly location: string; readonly text: string; readonly scope: RuleScope };

/** The rules documents of a YAML block: the block itself if it has fields of one, or the data of a ConfigMap with the label. */
export function rulesIn({ location, text }: { readonly location: string; readonly text: string }): readonly Example[] {
  const cluster: RuleScope = { kind: 'cluster' };
  const documents = parseAllDocuments(text);
  // Manifests of several objects, such as a Role with its own `rules`.
  if (documents.length > 1 && documents.every((document) => document.has('apiVersion'))) {
    return documents.flatMap((document) => rulesIn({ location, text: String(document).replace(/^---\n/, '') }));
  }
  if (parseDocument(text).errors.length > 0) return [{ location, text, scope: cluster }];
  const value: unknown = parse(text);
  if (typeof value !== 'object' || value === null) return [];
  const { kind, metadata, data = {} } = value as Manifest;
  const label = metadata?.labels?.['regkeeper.io/rules'];
  if (kind === 'ConfigMap' && label !== undefined) {
    const scope: RuleScope = label === 'namespace' ? { kind: 'namespace', namespace: metadata?.namespace ?? '' } : cluster;
    return Object.entries(data).map(([key, document]) => ({ location: `${location} ${key}`, text: document, scope }));
  }
  if (Object.hasOwn(value, 'apiVersion')) return [];
  return fieldsOfLevel.document.some((field) => Object.hasOwn(value, field)) ? [{ location, text, scope: cluster }] : [];
}

type Manifest = {
  readonly kind?: string;
  readonly metadata?: { readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
};
