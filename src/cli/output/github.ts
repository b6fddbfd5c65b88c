/** Renders findings as workflow commands, which GitHub Actions shows as annotations of lines. */
import { normalize } from 'node:path';
import type { Finding } from './findings.ts';

/**
 * One command per line. Paths are relative to the root of the repository, where a workflow runs. What is escaped is what the runner unescapes:
 * actions/toolkit packages/core/src/command.ts, actions/runner src/Runner.Common/ActionCommand.cs.
 */
export function renderGithub(findings: readonly Finding[]): string {
  return findings
    .map(({ level, title, message, place: { file, isFile, line, column } }) => {
      const properties = [
        ...(isFile ? [`file=${escapeProperty(normalize(file))}`, `line=${line}`] : []),
        ...(isFile && column !== undefined ? [`col=${column}`] : []),
        `title=${escapeProperty(title)}`,
      ];
      return `::${commands[level]} ${properties.join(',')}::${escapeMessage(isFile ? message : `${file === '-' ? 'standard input' : file}:${line}: ${message}`)}\n`;
    })
    .join('');
}

const commands = { error: 'error', warning: 'warning', note: 'notice' } as const satisfies Record<Finding['level'], string>;

function escapeMessage(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeMessage(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
