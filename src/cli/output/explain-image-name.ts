/** Explains in sentences how an image name is read. */
import type { ImageEvaluation } from '../../decision/decision.ts';
import { canonicalName, type ImageReference, parseImage } from '../../image/reference.ts';
import { listOf } from '../../image/wording.ts';
import type { RuleSettings } from '../../rules/rule-set.ts';

/** Returns one sentence for the parts of the name, and one for each convention that was applied. */
export function explainImageName(
  text: string,
  { reference, searched }: ImageEvaluation,
  { shortNames }: Pick<RuleSettings, 'shortNames'>,
): readonly string[] {
  if (!reference) return [];
  const { host, port, path } = reference;
  return [
    `registry ${host}, ${port === undefined ? 'default port 443' : `port ${port}`}, repository ${path.join('/')}, ${version(reference)}`,
    ...conventions(text, reference, shortNames),
    ...(searched
      ? [`a node may resolve it to ${listOf(searched.map(canonicalName), 'or')} (shortNames), so each of them must be trusted`]
      : []),
  ];
}

function version({ tag, digest }: ImageReference): string {
  if (digest !== undefined) return `digest ${digest}${tag === undefined ? '' : ` (runtimes ignore the tag ${tag})`}`;
  return tag === undefined ? 'no tag, which means latest' : `tag ${tag}`;
}

function conventions(text: string, { host, path }: ImageReference, shortNames: RuleSettings['shortNames']): readonly string[] {
  const written = text.slice(0, text.indexOf('/'));
  const official = host === 'docker.io' && path[0] === 'library' && !text.includes('library/');
  const library = official ? ', with library/ for official images' : '';
  // `reference` may have a host from the search list. Only the written text shows whether it names a registry.
  const parsed = parseImage(text);
  if (parsed.ok && !parsed.reference.qualified) {
    if (shortNames === 'docker.io') return [`no registry, which means Docker Hub, docker.io${library}`];
    return [`no registry, and shortNames is ${shortNames === 'reject' ? shortNames : shortNames.join(', ')}`];
  }
  const sentences: string[] = [];
  if (host === 'docker.io' && !/^docker\.io(:|$)/i.test(written))
    sentences.push(`${written} is another name for Docker Hub, docker.io${library}`);
  else if (official) sentences.push('Docker Hub official images are in library/');
  if (written !== written.toLowerCase()) sentences.push('hosts are not case-sensitive');
  return sentences;
}
