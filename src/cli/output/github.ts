/** Renders findings as workflow commands, which GitHub Actions shows as annotations of lines. */
import { normalize } from 'node:path';
import { inputName } from '../../image/wording.ts';
import { escapeControls } from '../../object/text.ts';
import type { Finding, Place } from './findings.ts';

/**
 * One command per line. Paths are relative to the root of the repository, where a workflow runs. What is escaped is what the runner unescapes:
 * actions/toolkit packages/core/src/command.ts, actions/runner src/Runner.Common/ActionCommand.cs.
 */
export function renderGithub(findings: readonly Finding[]): string {
  return findings
    .map(({ level, title, message, place }) => {
      const properties = [...propertiesOf(place), `title=${escapeProperty(escapeControls(title))}`];
      const text = message.split('\n').map(escapeControls).join('\n');
      return `::${commands[level]} ${properties.join(',')}::${escapeMessage(place.isFile ? text : `${nameOf(place)}: ${text}`)}\n`;
    })
    .join('');
}

const commands = { error: 'error', warning: 'warning', note: 'notice' } as const satisfies Record<Finding['level'], string>;

function propertiesOf({ file, isFile, line, column }: Place): readonly string[] {
  if (!isFile) return [];
  const position = { line, col: column };
  const numbers = Object.entries(position).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
  return [`file=${escapeProperty(normalize(file))}`, ...numbers];
}

/** For what GitHub cannot show at a line. */
function nameOf({ file, line }: Place): string {
  return [inputName(file), line].filter((part) => part !== undefined).join(':');
}

function escapeMessage(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeMessage(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
