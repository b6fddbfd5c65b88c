/** Prints a draft of rules as a document or a ConfigMap, and what has no rule. */
import type { Draft } from '../../draft/draft-rules.ts';
import { type DraftNotes, renderDraft } from '../../draft/render-draft.ts';
import { rulesLabel } from '../../rules/language/config-map.ts';
import { printManifests } from '../../yaml/print-manifests.ts';
import type { Terminal } from '../terminal.ts';

export type DraftFormat = {
  readonly output: 'rules' | 'configmap';
  /** Of the ConfigMap. */
  readonly regkeeperNamespace: string;
};

/** Returns whether the rules fit into a ConfigMap. */
export function printDraft(draft: Draft, notes: DraftNotes, { output, regkeeperNamespace }: DraftFormat, { out, err }: Terminal): boolean {
  const { text, fits } = renderDraft(draft, notes);
  out(output === 'rules' ? text : printManifests([configMapWith(text, regkeeperNamespace)]));
  if (!fits) err('regkeeper: the rules are too long for one ConfigMap. Run init for a part of the objects at a time\n');
  return fits;
}

/** The name that deploy/README.md recommends, so that it replaces the starter rules. */
function configMapWith(text: string, namespace: string): object {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'regkeeper-rules',
      namespace,
      labels: { 'app.kubernetes.io/name': 'regkeeper', [rulesLabel]: 'cluster' },
    },
    data: { 'rules.yaml': text },
  };
}

/** On standard error. */
export function renderUnlikely({ unlikely }: Draft): string {
  return unlikely.map(({ registry, why }) => `regkeeper: no rule for ${registry}: ${why}\n`).join('');
}
