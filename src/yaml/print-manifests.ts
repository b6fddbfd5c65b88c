/** Prints Kubernetes objects as YAML. */
import { Document, type Scalar, type Tags, visit } from 'yaml';
import { readPlainScalar } from './plain-scalar.ts';

/** One YAML document per object. kubectl and parsers of YAML 1.1 and 1.2 read the same values from them. */
export function printManifests(objects: readonly object[]): string {
  return objects.map(printOne).join('');
}

function printOne(object: object): string {
  // Version 1.1 quotes text that its parsers read as another type, such as dates and 1:30. quoteText also quotes what only go-yaml reads as
  // another type.
  const document = new Document(object, { version: '1.1', customTags: withoutMerge, aliasDuplicateObjects: false });
  visit(document, { Scalar: (_key, node) => quoteText(node) });
  return `---\n${document.toString({ lineWidth: 0, directives: false })}`;
}

/** The library writes any key << as a merge key, even a quoted one. */
function withoutMerge(tags: Tags): Tags {
  return tags.filter((tag) => typeof tag === 'string' || tag.tag !== 'tag:yaml.org,2002:merge');
}

function quoteText(node: Scalar): void {
  const { value } = node;
  if (typeof value === 'string' && (value === '<<' || typeof readPlainScalar(value) !== 'string')) node.type = 'QUOTE_DOUBLE';
}
