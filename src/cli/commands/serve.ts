/** `serve`: reads the flags of the server. */
import { Command, Option } from 'commander';
import type { Flags } from '../../settings/input.ts';
import { defaultOf, flagOf, type SettingName, settingNames, settingOf, usageOf, variableOf } from '../../settings/table.ts';
import { helpNotes } from '../line/help-text.ts';
import type { ExitCode } from '../terminal.ts';

export type ServeAction = (flags: Flags) => Promise<void>;

/** Flags are only collected here. Their values are validated together with the environment variables. */
export function serveCommand(action: ServeAction, finish: (code: ExitCode | undefined) => void): Command {
  const command = new Command('serve').addHelpText('after', `${helpNotes({ examples })}\n${notes()}`);
  for (const name of settingNames) {
    const { group, description, placeholder, choices } = settingOf(name);
    const defaultText = defaultOf(name);
    const details = [...(defaultText === undefined ? [] : [`default: ${defaultText}`]), `env: ${variableOf(name)}`];
    const option = new Option(usageOf(name), `${description} (${details.join(', ')})`).helpGroup(`${group}:`);
    // Set here, because the method `choices` would also check them. Values are validated together with those of variables.
    if (choices) option.argChoices = [...choices];
    command.addOption(option);
    // --no-… switches off what a variable or an earlier flag has switched on.
    if (placeholder === undefined) command.addOption(new Option(negated(name)).helpGroup(`${group}:`).hideHelp());
  }
  return command.action(async (flags: Flags) => {
    await action(flags);
    finish(undefined);
  });
}

const examples = [
  { does: 'Run a server for development, without a cluster', line: 'regkeeper serve --dev' },
  {
    does: 'Run it with the rules in a folder and your own certificate',
    line: 'regkeeper serve --rules rules --tls-cert tls.crt --tls-key tls.key',
  },
  { does: 'Run it in a cluster, and register the webhooks', line: 'regkeeper serve --manage-webhooks' },
];

function negated(name: SettingName): string {
  return flagOf(name).replace('--', '--no-');
}

function notes(): string {
  const switches = settingNames.filter((name) => settingOf(name).placeholder === undefined);
  return `
A flag takes precedence over its variable, and ${variableOf('kubeconfig')} and ${variableOf('namespace')} take precedence over
KUBECONFIG and POD_NAMESPACE. Blank variables are ignored. In variables, separate the values of a list with commas, and set
switches to true, false, 1 or 0. To turn off a switch with a flag, use ${switches.map(negated).join(', ')}.`;
}
