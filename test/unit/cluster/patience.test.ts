import { expect, test } from 'vitest';
import { ApiError } from '../../../src/cluster/api.ts';
import { whenReached } from '../../../src/cluster/patience.ts';
import { recordingLog } from './scripted-api.ts';

/** Fails with each of them in turn, then succeeds. */
const after = (...failures: Error[]) => {
  return async () => {
    const failure = failures.shift();
    if (failure) throw failure;
    return 'done';
  };
};
const unreachable = new ApiError(0, 'Unreachable', 'GET /x: connect ECONNREFUSED');

test('waits for an API server that is away, and says so once', async () => {
  const log = recordingLog();
  const starting = new ApiError(503, 'ServiceUnavailable', 'GET /x: starting');
  expect(await whenReached(log, after(unreachable, unreachable, starting), 0)).toBe('done');
  expect(log.lines.map(({ message }) => message)).toEqual([
    'GET /x: connect ECONNREFUSED; waiting for the API server',
    'GET /x: starting; waiting for the API server',
  ]);
});

test.each([
  ['a right, which an API server that has just started does not know of yet', new ApiError(403, 'Forbidden', 'GET /x: no')],
  ['a token, which it may not be able to check yet', new ApiError(401, 'Unauthorized', 'GET /x: no')],
  ['an answer that can be read, where a proxy has a page of its own', new ApiError(0, 'Unreadable', 'GET /x: <html>')],
])('waits a little for %s', async (_what, refusal) => {
  expect(await whenReached(recordingLog(), after(unreachable, ...Array(9).fill(refusal)), 0)).toBe('done');
  await expect(whenReached(recordingLog(), after(...Array(10).fill(refusal)), 0)).rejects.toBe(refusal);
});

test('does its work anew after a conflict with another replica, however often', async () => {
  expect(await whenReached(recordingLog(), after(...Array(12).fill(new ApiError(409, 'Conflict', 'PUT /x: no'))), 0)).toBe('done');
});

test.each([new ApiError(404, 'NotFound', 'GET /x: no'), new ApiError(0, 'NoCredential', 'GET /x: no'), new TypeError('a bug')])(
  'does not wait for what does not pass: %s',
  async (failure) => {
    await expect(whenReached(recordingLog(), after(failure), 0)).rejects.toBe(failure);
  },
);
