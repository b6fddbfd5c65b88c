/** The CA of client certificates as a component. Callers of the webhook port authenticate with them. */
import { type WatchedClientCa, watchClientCa } from '../../certificates/client-ca.ts';
import type { Component } from '../../contracts/component.ts';
import type { ClientCa } from '../../server/caller-authentication.ts';
import type { Clock } from '../../time/clock.ts';
import { asConfigurationError } from '../as-configuration-error.ts';
import type { Settings } from '../settings.ts';
import type { Logger } from './outputs.ts';

export type ClientCaOptions = { readonly settings: Settings; readonly log: Logger; readonly clock: Clock };

/** `current` and `hasSigned` throw before the component has started. */
export type FollowedClientCa = Component & ClientCa & { onChange(listener: () => void): () => void };

/** Undefined if callers need not authenticate. */
export function createClientCa({ settings: { clientCaFile: file }, log, clock }: ClientCaOptions): FollowedClientCa | undefined {
  if (file === undefined) return undefined;
  const listeners = new Set<() => void>();
  let watched: WatchedClientCa | undefined;
  let stopped = false;

  function requireWatched() {
    if (!watched) throw new Error('the client CA has not been read yet');
    return watched;
  }

  return {
    name: 'client CA',
    async start() {
      const opened = await watchClientCa({
        file,
        onChange() {
          for (const listener of [...listeners]) listener();
        },
        onProblem: (message) => log.error({}, message),
        clock,
      }).catch(asConfigurationError);
      if (stopped) opened.close();
      watched = opened;
    },
    stop() {
      stopped = true;
      listeners.clear();
      watched?.close();
    },
    current: () => requireWatched().current(),
    hasSigned: (certificate) => requireWatched().hasSigned(certificate),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
