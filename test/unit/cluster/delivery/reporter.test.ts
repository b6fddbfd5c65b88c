/** Tests the log messages of secret delivery about failed writes. */
import { expect, test } from 'vitest';
import type { WriteAction } from '../../../../src/cluster/delivery/controller.ts';
import { createDeliveryReporter } from '../../../../src/cluster/delivery/reporter.ts';
import { ApiError } from '../../../../src/kube/api-client.ts';
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
