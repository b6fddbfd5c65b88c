/** `serve`: reads the flags of the server. */
import { Command, Option } from 'commander';
import type { Flags } from '../../settings/input.ts';
import { defaultOf, flagOf, type SettingName, settingNames, settingOf, usageOf, variableOf } from '../../settings/table.ts';
import type { ExitCode } from '../terminal.ts';

export type ServeAction = (flags: Flags) => Promise<void>;

/** Flags are only collected here. Their values are validated together with the environment variables. */
export function serveCommand(action: ServeAction, finish: (code: ExitCode | undefined) => void): Command {
  const command = new Command('serve')
    .addHelpOption(new Option('-h, --help', 'display help for command').helpGroup('Server:'))
    .addHelpText('after', notes());
  for (const name of settingNames) {
    const { group, description, placeholder } = settingOf(name);
    const defaultText = defaultOf(name);
    const details = [...(defaultText === undefined ? [] : [`default: ${defaultText}`]), `env: ${variableOf(name)}`];
    command.addOption(new Option(usageOf(name), `${description} (${details.join('; ')})`).helpGroup(`${group}:`));
    // --no-… switches off what a variable or an earlier flag has switched on.
    if (placeholder === undefined) command.addOption(new Option(negated(name)).hideHelp());
  }
  return command.action(async (flags: Flags) => {
    await action(flags);
    finish(undefined);
  });
}

function negated(name: SettingName): string {
  return flagOf(name).replace('--', '--no-');
}

function notes(): string {
  const switches = settingNames.filter((name) => settingOf(name).placeholder === undefined);
  return `
A flag wins over its variable. In variables, several values are separated by commas, and a setting without value is true, false, 1 or 0;
a blank variable counts as not set. As flags, settings without value are switched off by ${switches.map(negated).join(', ')}.
${variableOf('kubeconfig')} and ${variableOf('namespace')} win over KUBECONFIG and POD_NAMESPACE.`;
}
