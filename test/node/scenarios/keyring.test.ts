/** Compares which entries of a secret a real kubelet tries for an image, and in which order, with src/credentials. */

import { beforeAll, describe, expect, test } from 'vitest';
import { findCredentials } from '../../../src/credentials/kubelet.ts';
import type { ImageReference } from '../../../src/image/reference.ts';
import { target, waitFor } from '../../cluster/target.ts';
import { pod } from '../../cluster/workloads.ts';
import { readTable } from '../../unit/conformance/corpus.ts';
import { hub, keysThatDoNotMatch, keysThatMatch } from '../../unit/credentials/keyring-rows.ts';
import { referenceOf } from '../../unit/rules/documents.ts';
import { actingOnNode, named, type PodStatus, registrySecret, requestsOf, sleeping, untilPod } from '../target.ts';

const cluster = target();
/** regkeeper does not handle this namespace, and these Pods have their secrets already. */
const excluded = actingOnNode(cluster.kubectl, () => 'kube-system');

/** Keys of one secret, separated by ` ; ` in a row of the corpus, and an image. */
type Question = { readonly name: string; readonly keys: readonly string[]; readonly image: string };

const columns = ['test', 'idx', 'auth_key', 'image', 'expect', 'note'] as const;
const corpus: readonly Question[] = readTable({ file: 'keyring_match.tsv', columns, rows: 62 }).map((row) => ({
  name: `${row.test} ${row.idx}`,
  keys: row.auth_key.startsWith('(') ? [hub] : row.auth_key.split(' ; ').map((text) => text.split('=')[0] ?? ''),
  // These rows compare two locations. As the name of an image, a host alone would be a Docker Hub repository.
  image: row.note.startsWith('raw') && !row.image.includes('/') ? `${row.image}/app` : row.image,
}));
const own: readonly Question[] = [...keysThatMatch, ...keysThatDoNotMatch].map(([name, key, image]) => ({ name, keys: [key], image }));
const all = [...corpus, ...own];
const questions = all.filter(({ image }) => asReference(image) !== undefined);
/** Without the row that has no image, which the API server rejects. */
const withInvalidNames = all.filter(({ image }) => image !== '' && asReference(image) === undefined);

/**
 * The last container of each Pod has an image of this host, and each secret an entry for it. A kubelet reads the secrets of a Pod once for all of
 * its containers. So a request with that entry shows that the kubelet had the secret. It gives up after a second, and pulls without the secret.
 */
const witness = 'witness.test';
const containersOfPod = 10;

const tried = new Map<Question, readonly string[]>();
/** By image, the reason for which its container waits. */
const rejected = new Map<string, string>();

beforeAll(async () => {
  const groups = groupsOf(questions);
  const rows = groups.map((group, index) => group.map((question, place) => ({ question, row: `row-${index}-${place}` })));
  for (const group of rows) await excluded.create(...group.map(({ question, row }) => registrySecret(row, loginsOf(question, row))));
  await excluded.create(...rows.map((group, index) => podOf(`keyring-${index}`, group)));
  const invalid = withInvalidNames.map(({ image }, index) => ({ name: `invalid-${index}`, image }));
  if (invalid.length > 0) await excluded.create(pod('keyring-invalid', { ...sleeping(''), containers: invalid, hostNetwork: true }));
  try {
    const hadSecrets = () => {
      const users = new Set(requestsOf((user) => user.endsWith(witness)).map(({ user }) => user));
      const late = rows.flat().filter(({ row }) => !users.has(`${row}.${witness}`));
      if (late.length > 0) throw new Error(`pulled without ${late.map(({ row }) => row)}`);
      return true;
    };
    await waitFor(hadSecrets, { deadlineSeconds: 180, what: 'the kubelet to have each secret' });
    if (invalid.length > 0) await readRejected(invalid);
    for (const { question, row } of rows.flat()) tried.set(question, keysTried(question, row));
  } finally {
    await excluded.remove(
      'pod/keyring-invalid',
      ...groups.map((_, index) => `pod/keyring-${index}`),
      ...rows.flat().map(({ row }) => `secret/${row}`),
    );
  }
}, 300_000);

describe('a kubelet tries the entries that src/credentials finds, in the same order', () => {
  test.each(questions)('$name: $keys for $image', (question) => {
    expect(tried.get(question)).toEqual(found(question, [question]));
  });

  test.skipIf(corpus.length === 0)('61 of the 62 rows of the corpus are sent to the kubelet', () => {
    const rows = [...questions, ...withInvalidNames].filter((question) => corpus.includes(question));
    expect(rows).toHaveLength(61);
  });
});

// The corpus compares strings, including some that cannot be image names. Whatever the secrets, a kubelet pulls nothing then.
test.each(withInvalidNames)('$name: a kubelet rejects the name $image, as src/image does', ({ image }) => {
  expect(rejected.get(image)).toBe('InvalidImageName');
});

/** Returns when the kubelet has reported each of these containers. */
async function readRejected(containers: readonly { readonly name: string; readonly image: string }[]): Promise<void> {
  const areWaiting = ({ status }: PodStatus) =>
    status.containerStatuses?.every(({ state }) => state.waiting?.reason !== 'ContainerCreating');
  const { status } = await untilPod(excluded, [named('keyring-invalid')], 'to be rejected', areWaiting);
  for (const { name, image } of containers) {
    const found = status.containerStatuses?.find((each) => each.name === name);
    rejected.set(image, found?.state.waiting?.reason ?? 'none');
  }
}

/** Questions that may share a Pod, because the keys of the others change nothing. A sandbox for each would take most of the time. */
function groupsOf(every: readonly Question[]): readonly (readonly Question[])[] {
  const groups: Question[][] = [];
  for (const question of every) {
    const shared = groups.find((group) => group.length < containersOfPod && areIndependent([...group, question]));
    if (shared) shared.push(question);
    else groups.push([question]);
  }
  return groups;
}

function areIndependent(group: readonly Question[]): boolean {
  return group.every((question) => found(question, group).join() === found(question, [question]).join());
}

/** The keys of these questions that src/credentials finds for the image of one. */
function found({ image }: Question, group: readonly Question[]): readonly string[] {
  const entries = group.flatMap(({ keys }) => keys.map((key) => ({ key })));
  return findCredentials(entries, asReference(image) as ImageReference).map(({ key }) => key);
}

interface Row {
  readonly question: Question;
  readonly row: string;
}

/** With the network of the host, a Pod starts faster. */
function podOf(name: string, rows: readonly Row[]): object {
  const images = [...rows.map(({ question, row }) => [row, question.image]), ['witness', `${witness}/app:1`]];
  const containers = images.map(([container, image]) => ({ name: container, image, imagePullPolicy: 'Always' }));
  const imagePullSecrets = rows.map(({ row }) => ({ name: row }));
  return pod(name, { ...sleeping(''), containers, imagePullSecrets, hostNetwork: true });
}

/** The user of an entry is the row and the number of its key. */
function loginsOf({ keys }: Question, row: string): Readonly<Record<string, string>> {
  const logins = keys.map((key, index) => [key, `${row}.${index}`]);
  return Object.fromEntries([...logins, [witness, `${row}.${witness}`]]);
}

function keysTried({ keys }: Question, row: string): readonly string[] {
  const requests = requestsOf((user) => user.startsWith(`${row}.`)).filter(({ written }) => written !== witness);
  const numbers = requests.map(({ user }) => Number(user.slice(row.length + 1)));
  return [...new Set(numbers)].map((index) => keys[index] ?? '');
}

function asReference(image: string): ImageReference | undefined {
  try {
    return referenceOf(image);
  } catch {
    return undefined;
  }
}
