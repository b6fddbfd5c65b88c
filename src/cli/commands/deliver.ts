/** `deliver`: reads the flags of secret delivery. */
import { Command } from 'commander';
import type { Flags } from '../../settings/input.ts';
import { deliverySettingNames, deliverySettingOf, variableOf } from '../../settings/table.ts';
import { helpNotes } from '../line/help-text.ts';
import { addSettingOptions } from '../line/setting-options.ts';
import type { ExitCode } from '../terminal.ts';

export type DeliverAction = (flags: Flags) => Promise<void>;

/** Flags are only collected here. Their values are validated together with the environment variables. */
export function deliverCommand(action: DeliverAction, finish: (code: ExitCode | undefined) => void): Command {
  const command = new Command('deliver').addHelpText('after', `${helpNotes({ examples })}\n${notes()}`);
  addSettingOptions(command, deliverySettingNames, deliverySettingOf);
  return command.action(async (flags: Flags) => {
    await action(flags);
    finish(undefined);
  });
}

const examples = [
  { does: 'Deliver secrets, inside a cluster', line: 'regkeeper deliver' },
  { does: 'Write the audit records to a file', line: 'regkeeper deliver --audit-log /audit/delivery.jsonl' },
];

function notes(): string {
  return `
Delivers the secrets listed under "secrets" in the rules to the namespaces that need them. It writes nothing until the
ValidatingAdmissionPolicy that "regkeeper rbac --deliver" prints is in effect. A flag takes precedence over its environment
variable, and ${variableOf('namespace')} takes precedence over POD_NAMESPACE. Environment variables that only
"regkeeper serve" uses are ignored.`;
}
