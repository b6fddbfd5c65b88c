/**
 * JSON.parse of Node.js 24 can misread a field name that contains an escape as another one that was read before and ends with a backslash
 * (nodejs/node issue 63785). Such names are no fields that regkeeper reads, so no decision depends on them.
 */
import { expect, test } from 'vitest';
import { ruleSetOf } from '../rules/documents.ts';
import { change, decided } from './changes.ts';

const rules = ruleSetOf('rules: [{registry: good.io, pullSecret: pull}]');
const names = ['image', 'name', 'containers', 'spec', 'imagePullSecrets', 'annotations', 'regkeeper.io/injected', ''];

/** The escapes of Go's encoder, which the API server uses. */
const escapes = ['\\u003c', '\\u003e', '\\u0026', '\\u2028', '\\"', '\\\\', '\\n', '\\u0000'];

/** A Pod with other fields before and after those that are read. */
function podText(image: string, before: string, after: string): string {
  const container = `{${before}"name":"a","image":"${image}"${after}}`;
  return `{${before}"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","annotations":{${before}"a":"b"${after}}},"spec":{${before}"containers":[${container}]${after}}${after}}`;
}

test.each(names.flatMap((name) => escapes.map((escaped) => [name, escaped])))('"%s" with %s changes no decision', (name, escaped) => {
  const fields = (written: string) => [`"${written}":"evil.io/x",`, `,"${written}":"evil.io/x"`] as const;
  for (const image of ['good.io/a', 'evil.io/a']) {
    const plain = decided(change('Pod', JSON.parse(podText(image, '', ''))), rules);
    for (const written of [`${name}${escaped}`, `${escaped}${name}`]) {
      // So that a map with the name that ends with a backslash is known.
      JSON.parse(podText(image, ...fields(`${name}\\\\`)));
      JSON.parse(podText(image, ...fields('\\\\')));
      const { outcome, images, patch } = decided(change('Pod', JSON.parse(podText(image, ...fields(written)))), rules);
      expect({ outcome, patch, verdicts: images.map(({ verdict }) => verdict) }).toEqual({
        outcome: plain.outcome,
        patch: plain.patch,
        verdicts: plain.images.map(({ verdict }) => verdict),
      });
    }
  }
});
