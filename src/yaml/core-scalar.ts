/** Reads a plain scalar by the core schema of YAML 1.2, with the YAML library's own tags. */
import { Document, isScalar, type ScalarTag } from 'yaml';

export type CoreValue = string | number | boolean | null;

export function readCoreScalar(text: string): CoreValue {
  // All words have at most five characters.
  if (!/^[-+.\d]/.test(text) && text.length > 5) return text;
  tags ??= new Document(null, { version: '1.2', schema: 'core' }).schema.tags.filter(
    (tag) => tag.default === true && 'test' in tag,
  ) as ScalarTag[];
  const tag = tags.find(({ test }) => test?.test(text));
  const resolved = tag ? tag.resolve(text, () => undefined, {}) : text;
  return (isScalar(resolved) ? resolved.value : resolved) as CoreValue;
}

let tags: readonly ScalarTag[] | undefined;
