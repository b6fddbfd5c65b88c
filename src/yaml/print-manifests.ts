/** Kubernetes objects as YAML. */
import { Document, type Scalar, type Tags, visit } from 'yaml';
import { readPlainScalar } from './plain-scalar.ts';

/** The objects as YAML documents, which kubectl and readers of YAML 1.1 and 1.2 understand alike. */
export function printManifests(objects: readonly object[]): string {
  return objects.map(printOne).join('');
}

function printOne(object: object): string {
  // Version 1.1 quotes what its readers take for something else than text, such as dates and 1:30; go-yaml's own notions come on top.
  const document = new Document(object, { version: '1.1', customTags: withoutMerge, aliasDuplicateObjects: false });
  visit(document, { Scalar: (_key, node) => quoteText(node) });
  return `---\n${document.toString({ lineWidth: 0, directives: false })}`;
}

/** Its writer takes any key << for a merge, in quotes or not. */
function withoutMerge(tags: Tags): Tags {
  return tags.filter((tag) => typeof tag === 'string' || tag.tag !== 'tag:yaml.org,2002:merge');
}

function quoteText(node: Scalar): void {
  const { value } = node;
  if (typeof value === 'string' && (value === '<<' || typeof readPlainScalar(value) !== 'string')) node.type = 'QUOTE_DOUBLE';
}
