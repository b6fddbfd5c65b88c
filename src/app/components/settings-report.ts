/** Logs the settings that an operator needs to see at the start of the server. */
import type { Component } from '../../contracts/component.ts';
import type { Settings } from '../settings.ts';
import type { Logger } from './outputs.ts';

type ReportedSettings = Pick<Settings, 'nonDefaults' | 'ignoredVariables' | 'nameOf'> &
  Partial<Pick<Settings, 'manageWebhooks' | 'webhookPolicy'>>;

export function createSettingsReport(
  { nonDefaults, ignoredVariables, manageWebhooks, webhookPolicy, nameOf }: ReportedSettings,
  log: Logger,
): Component {
  return {
    name: 'settings',
    start() {
      if (nonDefaults.length > 0) log.info({ settings: nonDefaults }, 'non-default settings');
      for (const { variable, flag } of ignoredVariables)
        log.warn({}, `ignoring ${variable}: ${flag} is set, and flags take precedence over variables`);
      if (manageWebhooks && webhookPolicy?.failurePolicy === 'Ignore') {
        log.warn(
          {},
          `${nameOf('failurePolicy')} is Ignore: while no replica is available, all images are allowed and no secrets are injected`,
        );
      }
    },
  };
}
