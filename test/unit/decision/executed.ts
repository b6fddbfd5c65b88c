/**
 * Counts the work of a call: how often V8 executed each block of code under src (precise coverage), plus the lengths of the lists that
 * `includes` and `indexOf` searched. Unlike time, this count does not depend on the machine and its load.
 */
import { Session } from 'node:inspector';

type Coverage = {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly { readonly ranges: readonly { readonly count: number }[] }[];
  }[];
};

export function executed(run: () => unknown): number {
  const session = new Session();
  session.connect();
  let entries = 0;
  const { includes, indexOf } = Array.prototype;
  try {
    post(session, 'Profiler.enable');
    post(session, 'Profiler.startPreciseCoverage', { callCount: true, detailed: true });
    Array.prototype.includes = function (this: unknown[], ...args: [unknown, number?]) {
      entries += this.length;
      return includes.apply(this, args);
    };
    Array.prototype.indexOf = function (this: unknown[], ...args: [unknown, number?]) {
      entries += this.length;
      return indexOf.apply(this, args);
    };
    run();
    Object.assign(Array.prototype, { includes, indexOf });
    const { result } = post(session, 'Profiler.takePreciseCoverage') as Coverage;
    const ours = result.filter(({ url }) => url.includes('/src/'));
    if (ours.length === 0) throw new Error('no code under src was seen');
    return entries + ours.flatMap(({ functions }) => functions.flatMap(({ ranges }) => ranges)).reduce((sum, { count }) => sum + count, 0);
  } finally {
    Object.assign(Array.prototype, { includes, indexOf });
    session.disconnect();
  }
}

/** Within one thread the callback is called before `post` returns. */
function post(session: Session, method: string, params?: object): unknown {
  let answer: unknown;
  session.post(method, params, (error, result) => {
    if (error) throw error;
    answer = result;
  });
  return answer;
}
