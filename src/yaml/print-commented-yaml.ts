/** Prints plain data as one YAML document with comments. */
import { Document, isMap, isNode, isScalar, isSeq, type Node } from 'yaml';
import { fieldsOfPointer } from './json-pointer.ts';

/**
 * The same values as `printYaml`. `comments` has the lines above a field or an entry of a list, by its JSON pointer. Those of `''` begin the
 * document. Comments may contain texts of strangers: everything but printable ASCII becomes a question mark, so no text can end its comment.
 */
export function printCommentedYaml(value: object, comments: ReadonlyMap<string, readonly string[]>): string {
  const document = new Document(value, { version: '1.1', aliasDuplicateObjects: false });
  for (const [pointer, lines] of comments) {
    const node = pointer === '' ? document : nodeWithComment(document.contents, fieldsOfPointer(pointer));
    if (!node) throw new Error(`no field or entry at ${pointer}`);
    if (lines.length > 0) node.commentBefore = lines.map(commentLine).join('\n');
  }
  return document.toString({ lineWidth: 0, indentSeq: false, directives: false });
}

/** The comment above a field belongs to the key in the library, and that above an entry of a list to the entry. */
function nodeWithComment(root: Node | null, fields: readonly string[]): Node | undefined {
  let node: unknown = root;
  let commented: unknown;
  for (const field of fields) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && key.value === field);
      [commented, node] = [pair?.key, pair?.value];
    } else if (isSeq(node)) {
      node = node.items[Number(field)];
      commented = node;
    } else return undefined;
  }
  return isNode(commented) ? commented : undefined;
}

/** A blank line stays one. */
function commentLine(line: string): string {
  return line === '' ? '' : ` ${line.replace(/[^ -~]/gu, '?')}`;
}
