/** Logs the settings that an operator should see in the log of a running server. */
import type { Component } from '../lifecycle.ts';
import type { Settings } from '../settings.ts';
import type { Logger } from './outputs.ts';

export function createSettingsReport({ told, overruled, register, webhookPolicy, named }: Settings, log: Logger): Component {
  return {
    name: 'settings',
    start() {
      if (told.length > 0) log.info({ settings: told }, 'settings that differ from the defaults');
      for (const { variable, flag } of overruled)
        log.warn({}, `${variable} has no effect: ${flag} is given, and a flag wins over a variable`);
      if (register && webhookPolicy.failurePolicy === 'Ignore') {
        log.warn({}, `${named('failurePolicy')} is Ignore: while no replica answers, every image is let in, and no secret is added`);
      }
    },
  };
}
