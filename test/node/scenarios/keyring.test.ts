/** Compares which entries of a secret a real kubelet tries for an image, and in which order, with src/credentials. */

import { beforeAll, describe, expect, test } from 'vitest';
import { findCredentials } from '../../../src/credentials/kubelet.ts';
import type { ImageReference } from '../../../src/image/reference.ts';
import { target } from '../../cluster/target.ts';
import { actingIn, pod } from '../../cluster/workloads.ts';
import { readTable } from '../../unit/conformance/corpus.ts';
import { hub, keysThatDoNotMatch, keysThatMatch } from '../../unit/credentials/keyring-rows.ts';
import { referenceOf } from '../../unit/rules/documents.ts';
import { named, registrySecret, requestsOf, sleeping, untilPullFails } from '../target.ts';

const cluster = target();

/** Keys of one secret, separated by ` ; ` in a row of the corpus, and an image. */
type Question = { readonly name: string; readonly keys: readonly string[]; readonly image: string };

const columns = ['test', 'idx', 'auth_key', 'image', 'expect', 'note'] as const;
const corpus: readonly Question[] = readTable({ file: 'keyring_match.tsv', columns, rows: 62 }).map((row) => ({
  name: `${row.test} ${row.idx}`,
  keys: row.auth_key.startsWith('(') ? [hub] : row.auth_key.split(' ; ').map((text) => text.split('=')[0] ?? ''),
  // These rows compare two locations. As the name of an image, a host alone would be a repository of Docker Hub.
  image: row.note.startsWith('raw') && !row.image.includes('/') ? `${row.image}/app` : row.image,
}));
const own: readonly Question[] = [...keysThatMatch, ...keysThatDoNotMatch].map(([name, key, image]) => ({ name, keys: [key], image }));
const all = [...corpus, ...own];
const questions = all.filter(({ image }) => asReference(image) !== undefined);
/** Each is a Pod that waits for its image. A node runs 110 Pods. */
const atOnce = 40;

const users = new Map<Question, readonly string[]>();

beforeAll(async () => {
  const namespace = await cluster.namespace();
  const acting = actingIn(cluster.kubectl, () => namespace);
  for (let first = 0; first < questions.length; first += atOnce) {
    const batch = questions.slice(first, first + atOnce).map((question, index) => ({ question, name: `row-${first + index}` }));
    await acting.create(...batch.map(({ question, name }) => registrySecret(name, loginsOf(question, name))));
    await acting.create(
      ...batch.map(({ question, name }) => {
        const [container] = sleeping(question.image).containers;
        // The host's network makes a Pod start quicker.
        const spec = { containers: [{ ...container, imagePullPolicy: 'Always' }], imagePullSecrets: [{ name }], hostNetwork: true };
        return pod(name, { ...sleeping(''), ...spec }, { labels: { batch: String(first) } });
      }),
    );
    for (const { name } of batch) await untilPullFails(acting, named(name));
    for (const { question, name } of batch) users.set(question, keysTried(question, name));
    await acting('delete', 'pods', '-l', `batch=${first}`, '--force');
  }
}, 300_000);

describe('a kubelet tries the entries that src/credentials finds, in the same order', () => {
  test.each(questions)('$name: $keys for $image', (question) => {
    const entries = question.keys.map((key) => ({ key }));
    const found = findCredentials(entries, asReference(question.image) as ImageReference).map(({ key }) => key);
    expect(users.get(question)).toEqual(found);
  });

  test('names that no image can have are left out', () => {
    const left = all.filter((question) => !questions.includes(question)).map(({ image }) => image);
    expect(left.filter((image) => image !== '' && !/:1111\/|\/\//.test(image))).toEqual([]);
  });
});

/** The user of an entry is the row and the number of its key. */
function loginsOf({ keys }: Question, row: string): Readonly<Record<string, string>> {
  return Object.fromEntries(keys.map((key, index) => [key, `${row}.${index}`]));
}

function keysTried({ keys }: Question, row: string): readonly string[] {
  const tried = requestsOf((user) => user.startsWith(`${row}.`)).map(({ user }) => Number(user.slice(row.length + 1)));
  return [...new Set(tried)].map((index) => keys[index] ?? '');
}

function asReference(image: string): ImageReference | undefined {
  try {
    return referenceOf(image);
  } catch {
    return undefined;
  }
}
