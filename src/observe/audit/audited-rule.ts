/** Rules and their documents, as audit records name them. */
import type { ClusterObject, Origin, RuleSource } from '../../rules/language/problem.ts';
import type { Rule } from '../../rules/rule-set.ts';

export type AuditedRule = {
  readonly name: string;
  /** The last day of its trust, if it ends. */
  readonly until?: string;
  readonly source: AuditedSource;
};
export type AuditedDocument = { readonly configMap: string; readonly key: string } | { readonly file: string };
/** An object of the cluster that adds rules. */
export type AuditedObject = { readonly cluster: string };
export type AuditedSource = (AuditedDocument & { readonly line: number }) | AuditedObject;

/** Shortens each text. The default keeps it. */
export type ShortenText = (text: string) => string;

const whole: ShortenText = (text) => text;

export function auditRule({ name, until, origin }: Rule, short: ShortenText = whole): AuditedRule {
  return { name: short(name), ...(until !== undefined && { until }), source: auditOrigin(origin, short) };
}

export function auditOrigin({ source, line }: Origin, short: ShortenText = whole): AuditedSource {
  const document = auditSource(source, short);
  return 'cluster' in document ? document : { ...document, line };
}

export function auditSource(source: RuleSource | ClusterObject, short: ShortenText = whole): AuditedDocument | AuditedObject {
  switch (source.kind) {
    case 'file':
      return { file: short(source.file) };
    case 'configMap':
      return { configMap: short(`${source.namespace}/${source.name}`), key: short(source.key) };
    case 'cluster':
      return { cluster: short(source.object) };
  }
}
