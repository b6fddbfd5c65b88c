/** `serve`: reads the flags of the server. */
import { Command } from 'commander';
import { listOf } from '../../image/wording.ts';
import type { Flags } from '../../settings/input.ts';
import { negatedFlagOf, settingNames, settingOf, variableOf } from '../../settings/table.ts';
import { helpNotes } from '../line/help-text.ts';
import { addSettingOptions } from '../line/setting-options.ts';
import type { ExitCode } from '../terminal.ts';

export type ServeAction = (flags: Flags) => Promise<void>;

/** Flags are only collected here. Their values are validated together with the environment variables. */
export function serveCommand(action: ServeAction, finish: (code: ExitCode | undefined) => void): Command {
  const command = new Command('serve').addHelpText('after', `${helpNotes({ examples })}\n${notes()}`);
  addSettingOptions(command, settingNames, settingOf);
  return command.action(async (flags: Flags) => {
    await action(flags);
    finish(undefined);
  });
}

const examples = [
  { does: 'Run a server for development, without a cluster', line: 'regkeeper serve --dev' },
  {
    does: 'Run it with rules from a directory and your own certificate',
    line: 'regkeeper serve --rules rules --tls-cert tls.crt --tls-key tls.key',
  },
  { does: 'Run it in a cluster, and register the webhooks', line: 'regkeeper serve --manage-webhooks' },
];

function notes(): string {
  const switches = settingNames.filter((name) => settingOf(name).placeholder === undefined);
  return `
A flag takes precedence over its environment variable, and ${variableOf('kubeconfig')} and ${variableOf('namespace')} take
precedence over KUBECONFIG and POD_NAMESPACE. Empty environment variables are ignored. In an environment variable, separate
list values with commas, and set boolean flags to true, false, 1 or 0. To turn off a boolean flag, use
${listOf(switches.map(negatedFlagOf), 'or')}.`;
}
