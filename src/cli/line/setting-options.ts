/** Adds the settings of a server process as options of its command. */
import { type Command, Option } from 'commander';
import { defaultOf, negatedFlagOf, type Setting, type SettingName, usageOf, variableOf } from '../../settings/table.ts';

/** Values are only collected. They are validated together with the environment variables. */
export function addSettingOptions(command: Command, names: readonly SettingName[], settingOf: (name: SettingName) => Setting): void {
  for (const name of names) {
    const setting = settingOf(name);
    const { group, description, placeholder, choices } = setting;
    const defaultText = defaultOf(name, setting, quoteText);
    const details = [...(defaultText === undefined ? [] : [`default: ${defaultText}`]), `env: ${variableOf(name)}`];
    const option = new Option(usageOf(name), `${description} (${details.join(', ')})`).helpGroup(`${group}:`);
    // Set here, because the method `choices` would also check them. Values are validated together with those of variables.
    if (choices) option.argChoices = [...choices];
    command.addOption(option);
    // --no-… switches off what a variable or an earlier flag has switched on.
    if (placeholder === undefined) command.addOption(new Option(negatedFlagOf(name)).helpGroup(`${group}:`).hideHelp());
  }
}

/** As commander shows the defaults of other options. */
export function quoteText(value: unknown): string {
  return typeof value === 'string' ? `"${value}"` : String(value);
}
