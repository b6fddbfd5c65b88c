/** Lines for `/readyz` about the webhook configurations that do not make a replica unready. */

import { ourName } from './live-configuration.ts';
import type { Registration } from './registration.ts';

export function renderRegistrationNotes({ unavailable, narrowed }: Pick<Registration, 'unavailable' | 'narrowed'>): string[] {
  return [
    ...unavailable().map(({ api, reason, since }) => {
      return `${api} has not answered since ${new Date(since).toISOString()}, so its kinds stay registered as they are: ${reason}`;
    }),
    ...narrowed().map((kind) => `another writer keeps narrowing the ${kind} ${ourName}, so it is put back less often: see the log`),
  ];
}
