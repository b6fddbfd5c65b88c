/** Tests which errors are retried at the start, and what is logged. */
import { expect, test } from 'vitest';
import { ApiError } from '../../../src/kube/api-client.ts';
import { retryUntilReachable } from '../../../src/kube/retry-until-reachable.ts';
import { systemClock } from '../../../src/time/clock.ts';
import { recordingLog } from './scripted-api.ts';

/** Fails with each of the errors in turn, then succeeds. */
const after = (...failures: Error[]) => {
  return async () => {
    const failure = failures.shift();
    if (failure) throw failure;
    return 'done';
  };
};
const retryOptions = (log = recordingLog()) => ({ log, requiredRole: 'Grant it with a Role', pauseMilliseconds: 0 });
const unreachable = new ApiError(0, 'Unreachable', 'GET /x: connect ECONNREFUSED');

test('waits for an unavailable API server, and logs that once', async () => {
  const log = recordingLog();
  const starting = new ApiError(503, 'ServiceUnavailable', 'GET /x: starting');
  expect(await retryUntilReachable(retryOptions(log), after(unreachable, unreachable, starting))).toBe('done');
  expect(log.lines.map(({ message }) => message)).toEqual([
    'GET /x: connect ECONNREFUSED. Waiting for the API server',
    'GET /x: starting. Waiting for the API server',
  ]);
});

test.each([
  ['a permission, which an API server that has just started may not know yet', new ApiError(403, 'Forbidden', 'GET /x: no')],
  ['a token, which it may not be able to verify yet', new ApiError(401, 'Unauthorized', 'GET /x: no')],
  ['a valid response, while a proxy returns its own page', new ApiError(0, 'Unreadable', 'GET /x: <html>')],
])('waits a little for %s', async (_what, rejection) => {
  expect(await retryUntilReachable(retryOptions(), after(unreachable, ...Array(9).fill(rejection)))).toBe('done');
  await expect(retryUntilReachable(retryOptions(), after(...Array(10).fill(rejection)))).rejects.toMatchObject({
    status: rejection.status,
    cause: rejection,
  });
});

test('retries after each conflict with another replica', async () => {
  expect(await retryUntilReachable(retryOptions(), after(...Array(12).fill(new ApiError(409, 'Conflict', 'PUT /x: no'))))).toBe('done');
});

test.each([new ApiError(404, 'NotFound', 'GET /x: no'), new ApiError(0, 'NoCredential', 'GET /x: no'), new TypeError('a bug')])(
  'does not retry a permanent failure: %s',
  async (failure) => {
    await expect(retryUntilReachable(retryOptions(), after(failure))).rejects.toBe(failure);
  },
);

test('retries a forbidden request, and finally fails with what to do', async () => {
  const log = recordingLog();
  const forbidden = new ApiError(403, 'Forbidden', 'GET /x: no');
  await expect(retryUntilReachable(retryOptions(log), after(...Array(10).fill(forbidden)))).rejects.toThrow(
    /^GET \/x: no\. Grant it with a Role$/,
  );
  expect(log.lines).toEqual([{ level: 'warn', message: 'GET /x: no. Retrying' }]);
  const unknown = new ApiError(401, 'Unauthorized', 'GET /x: Unauthorized');
  await expect(retryUntilReachable(retryOptions(), after(...Array(10).fill(unknown)))).rejects.toThrow(
    /^GET \/x: Unauthorized\. The API server rejected the credential\. Check whether the token .* been revoked$/,
  );
});

test('logs each minute that it is still waiting, and for what', async () => {
  const log = recordingLog();
  // Twenty seconds pass between two tries.
  let time = 0;
  const monotonic = () => {
    time += 20_000;
    return time;
  };
  const clock = { ...systemClock, monotonic };
  await retryUntilReachable({ ...retryOptions(log), server: 'https://10.0.0.1:443', clock }, after(...Array(7).fill(unreachable)));
  expect(log.lines.slice(1).map(({ message }) => message)).toEqual(
    [1, 2].map(
      (minutes) =>
        `the API server https://10.0.0.1:443 has been unreachable for ${minutes} min: GET /x: connect ECONNREFUSED. ` +
        'If this is not its address, correct the kubeconfig',
    ),
  );
});

test('logs no failure that is caused by the shutdown', async () => {
  const log = recordingLog();
  const stopping = new AbortController();
  const work = async () => {
    stopping.abort(new Error('stopping'));
    throw new ApiError(0, 'Unreachable', 'GET /x: The client is destroyed');
  };
  await expect(retryUntilReachable({ ...retryOptions(log), signal: stopping.signal }, work)).rejects.toThrow('stopping');
  expect(log.lines).toEqual([]);
});
