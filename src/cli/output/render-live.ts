/** Renders what commands with live objects could not read, for standard error. */
import { countOf } from '../../image/wording.ts';
import { escapeControls } from '../../object/text.ts';
import type { Installation } from '../../scan/installation.ts';
import { type NotRead, renderPlace } from '../../scan/not-read.ts';

/** Why a command has no rules to evaluate with. `what` is loaded. */
export function renderNotLoaded(why: readonly string[], what = 'the rules of the cluster'): string {
  return renderSentences(why.map((sentence) => `cannot load ${what}: ${sentence}`));
}

/** A line for each thing that could not be read or evaluated. */
export function renderNotRead(notRead: readonly NotRead[], notEvaluated: readonly string[]): string {
  return renderSentences([...notRead.map((each) => `cannot read ${renderPlace(each)}: ${each.message}`), ...notEvaluated]);
}

/** What does not make the result incomplete, but explains it. */
export function renderLiveRemarks({ scope }: Pick<Installation, 'scope'>, gaps: readonly string[]): string {
  return renderSentences([
    ...gaps,
    ...(scope.resources === undefined && scope.gap === undefined
      ? ['the webhooks are not registered in this cluster, so no request is denied yet']
      : []),
    ...(scope.hasMatchCondition
      ? ['the webhooks have an additional match condition (--match-condition), which may exclude some of these objects']
      : []),
  ]);
}

/** Which objects were left out. Nothing if there are none. */
export function renderExcluded({ namespaces, objects }: { readonly namespaces: readonly string[]; readonly objects: number }): string {
  return objects === 0 ? '' : renderSentences([`excluded from the webhooks: ${countOf(objects, 'object')} in ${namespaces.join(', ')}`]);
}

/** A line for each sentence. */
export function renderSentences(sentences: readonly string[]): string {
  return sentences.map((sentence) => `regkeeper: ${escapeControls(sentence)}\n`).join('');
}
