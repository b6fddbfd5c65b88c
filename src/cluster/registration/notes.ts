/** Lines for `/readyz` about the webhook configurations that do not make a replica unready. */

import { ourName } from './live-configuration.ts';
import type { Registration } from './registration.ts';

export function renderRegistrationNotes({ unavailable, narrowed }: Pick<Registration, 'unavailable' | 'narrowed'>): string[] {
  return [
    ...unavailable().map(({ api, reason, since }) => {
      return `API ${api} has been unavailable since ${new Date(since).toISOString()}: ${reason}. The registration of its kinds does not change`;
    }),
    ...narrowed().map(
      (kind) => `another writer keeps narrowing the scope of the ${kind} ${ourName}, so it is restored less often. See the regkeeper log`,
    ),
  ];
}
