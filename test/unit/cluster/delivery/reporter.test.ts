/** Tests the log messages of secret delivery about failed writes, and about copies whose content is unavailable. */
import { expect, test } from 'vitest';
import type { WriteAction } from '../../../../src/cluster/delivery/controller.ts';
import { createDeliveryReporter, messageOf } from '../../../../src/cluster/delivery/reporter.ts';
import { createContent } from '../../../../src/delivery/content.ts';
import { readSource, type UsableSource } from '../../../../src/delivery/source.ts';
import { ApiError } from '../../../../src/kube/api-client.ts';
import { parsePattern, resolvePattern } from '../../../../src/rules/language/pattern.ts';
import { recordingLog } from '../../kube/scripted-api.ts';

const of = { uid: 'u', resourceVersion: '1' };

test.each<[action: WriteAction, message: string]>([
  [{ do: 'create' }, 'cannot create a copy'],
  [{ do: 'update', because: 'tampered', of }, 'cannot update a copy'],
  [{ do: 'replace', because: 'immutable', of }, 'cannot replace a copy'],
  [{ do: 'delete', because: 'unused', of }, 'cannot delete a copy'],
  [{ do: 'mark-unused', since: 0, of }, 'cannot mark a copy as unused'],
  [{ do: 'unmark-unused', of }, 'cannot mark a copy as used'],
])('a failed write is logged as text: %j', (action, message) => {
  const log = recordingLog();
  const metrics = { wrote() {}, failed() {}, rotated() {} };
  const reporter = createDeliveryReporter({
    rules: () => undefined,
    auditLog: { write() {} },
    metrics,
    events: { warn() {} },
    uidOf: () => undefined,
    log,
  } as unknown as Parameters<typeof createDeliveryReporter>[0]);
  reporter.failed({ namespace: 'a', name: 'corp', action, error: new ApiError(500, 'InternalError', 'it failed') });
  expect(JSON.stringify(log)).toContain(`${message}: it failed. Retrying`);
});

const login = { auth: btoa('robot:secret') };
const noColon = { auth: btoa('no-colon') };

function unavailable(auths: object, ...registries: string[]): string {
  const source = readSource('corp-source', {
    metadata: { labels: { 'regkeeper.io/source': 'true' }, uid: 'u', resourceVersion: '1' },
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths })).toString('base64') },
  }) as UsableSource;
  const rules = registries.map((registry) => {
    const parsed = parsePattern(registry);
    if (!parsed.ok) throw new Error(parsed.message);
    return { name: registry, pattern: resolvePattern(parsed.pattern, true), pull: true, push: false };
  });
  const content = createContent(source, rules, (text) => text);
  return messageOf('content-unavailable', 'shop', 'pull', {
    action: { do: 'leave', because: 'content-unavailable' },
    secret: undefined,
    source,
    content,
  });
}

const noEntry =
  'cannot deliver shop/pull: the source has no entry for any rule that references the secret in this namespace ("quay.io"). Add entries for the registries of these rules';
const notCopied = (cause: string) =>
  `cannot deliver shop/pull: the source has an entry for its rules, but the entry cannot be copied. ${cause} Correct the source`;

test.each<[title: string, auths: object, registries: readonly string[], message: string]>([
  ['has no entry for the rules', { 'reg.example.com': login }, ['quay.io'], noEntry],
  ['has only a malformed entry for other rules', { 'reg.example.com': noColon }, ['quay.io'], noEntry],
  [
    'has a malformed entry for them',
    { 'quay.io': noColon, 'reg.example.com': login },
    ['quay.io'],
    notCopied('Entry "quay.io": "auth" has no colon between user name and password.'),
  ],
  [
    'has an entry for them without a login',
    { 'https://quay.io/v1/': {} },
    ['quay.io/team'],
    notCopied('Entry "https://quay.io/v1/": it has no user name and no password.'),
  ],
  [
    'has several such entries',
    { 'quay.io': noColon, 'reg.example.com': [], 'other.example.com': [] },
    ['quay.io', 'reg.example.com', 'none.example.com'],
    notCopied('Entry "quay.io": "auth" has no colon between user name and password. 1 other entry for its rules cannot be copied either.'),
  ],
  [
    'has more than fits into a copy',
    { 'quay.io': { username: 'robot', password: 'é'.repeat(300_000) } },
    ['quay.io'],
    'cannot deliver shop/pull: 1 entry that its rules need exceeds the 1 MiB limit for a Secret. Remove entries from the source, or use several secrets',
  ],
])('if the source %s, the log shows the cause and the fix', (_title, auths, registries, message) => {
  expect(unavailable(auths, ...registries)).toBe(message);
});
