/** What --help of a command shows after its options. */

export type HelpNotes = {
  /** Command lines with what they do. They work in a checkout, or name files that a reader replaces. */
  readonly examples: readonly { readonly does: string; readonly line: string }[];
  /** What each exit code means. */
  readonly exitCodes?: readonly string[];
};

export function helpNotes({ examples, exitCodes = [] }: HelpNotes): string {
  const lines = examples.map(({ does, line }) => `  # ${does}\n  ${line}\n`);
  const codes = exitCodes.map((meaning, code) => `  ${code}  ${meaning}\n`).join('');
  return `\nExamples:\n${lines.join('\n')}${codes === '' ? '' : `\nExit codes:\n${codes}`}`.trimEnd();
}
